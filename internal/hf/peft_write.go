package hf

import (
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/jsonobj"
	"github.com/flops-vit/flops/internal/safetensors"
	"github.com/flops-vit/flops/internal/uierr"
)

// fifth turns names of tensors into those of the modules of transformers 5, of the
// families that follow its BERT.
var fifth = strings.NewReplacer(".encoder.layer.", ".layers.", ".attention.attention.query.", ".attention.q_proj.",
	".attention.attention.key.", ".attention.k_proj.", ".attention.attention.value.", ".attention.v_proj.",
	".attention.output.dense.", ".attention.o_proj.", ".intermediate.dense.", ".mlp.fc1.", ".output.dense.", ".mlp.fc2.")

// SaveAdapter writes the folder of an adapter as PEFT's PeftModel.from_pretrained reads
// it. Weights of its factors are named as in Model.Tensors of m; its classifier, if any,
// is m's. modules names them as the modules of version 5 of transformers, and not as
// those of version 4, which are those of files.
func SaveAdapter(disk fsys.FS, dir string, m *Model, a *Adapter, modules bool) error {
	if m.Config.kind().marshal != nil {
		return uierr.New("--adapter: PEFT names the modules of transformers, and "+m.Config.Family()+" is another library's",
			"leave out --adapter: the model is written whole, its adapters merged")
	}
	var tensors []safetensors.Tensor
	var targets []string
	for _, f := range a.Factors {
		p := m.Config.kind().names.place(f.Weight)
		if p.of > 1 || p.transposed {
			return uierr.New(fmt.Sprintf("--adapter: %s is a part of %s in the model's files, which PEFT adapts whole",
				f.Weight, p.file), "leave out --adapter: the model is written whole, its adapters merged")
		}
		file := p.file
		if modules {
			if file = fifth.Replace(file); m.Config.Written(file) != p.file {
				return uierr.New(fmt.Sprintf("--adapter=5: how version 5 of transformers names %s is not known", p.file),
					"use --adapter=4")
			}
		}
		module := strings.TrimSuffix(m.Config.stripped(file), ".weight")
		targets = append(targets, module)
		tensors = append(tensors,
			safetensors.Tensor{Name: peftPrefix + module + peftA, Shape: []int{a.Rank, f.In}, Data: f.A},
			safetensors.Tensor{Name: peftPrefix + module + peftB, Shape: []int{len(f.B) / a.Rank, a.Rank}, Data: f.B})
	}
	var saved []string
	for _, t := range a.Whole {
		if base, ok := strings.CutSuffix(t.Name, ".weight"); ok {
			saved = append(saved, base)
		}
		t.Name = peftPrefix + t.Name
		tensors = append(tensors, t)
	}
	labels, err := json.Marshal(m.Config.Labels)
	if err != nil {
		return err
	}
	var base any // null where nobody knows
	if a.Base != "" {
		base = a.Base
	}
	config, err := jsonobj.Indented(map[string]any{"peft_type": "LORA", "task_type": nil, "base_model_name_or_path": base,
		"r": a.Rank, "lora_alpha": a.Scale * float64(a.Rank), "lora_dropout": 0.0, "bias": "none", "fan_in_fan_out": false,
		"use_rslora": false, "use_dora": false, "init_lora_weights": true, "inference_mode": true,
		"target_modules": targets, "modules_to_save": saved})
	if err != nil {
		return err
	}
	if err := disk.MkdirAll(dir); err != nil {
		return fsys.WriteError(err, dir)
	}
	if err := fsys.Write(disk, filepath.Join(dir, adapterWeights), func(w io.Writer) error {
		return safetensors.Write(w, tensors, safetensors.F32, map[string]string{"format": "pt", peftLabels: string(labels)})
	}); err != nil {
		return err
	}
	return fsys.WriteFile(disk, filepath.Join(dir, adapterConfig), config)
}
