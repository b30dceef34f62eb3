package hf

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/safetensors"
	"github.com/flops-vit/flops/internal/testkit"
)

// FuzzAdapter: a folder of PEFT's, whatever its two files hold, is merged with its model,
// whose other tensors keep their shapes, or refused as a mistake.
func FuzzAdapter(f *testing.F) {
	base, folder, m, _ := adapterOf(f)
	config, err := os.ReadFile(filepath.Join(folder, adapterConfig))
	testkit.Must(f, err)
	weights, err := os.ReadFile(filepath.Join(folder, adapterWeights))
	testkit.Must(f, err)
	f.Add(config, weights)
	for _, keys := range []string{`{}`, `"r":0`, `"r":65537`, `"r":2,"lora_alpha":null`, `"r":2,"use_rslora":true`,
		`"r":2,"rank_pattern":{"query":4}`, `"r":1e9`, `"r":2,"init_lora_weights":"pissa"`} {
		f.Add([]byte(fmt.Sprintf(`{"peft_type":"LORA","base_model_name_or_path":%q,"lora_alpha":3,%s}`, base, keys)), weights)
	}
	f.Add(config, adapterFile(f, "classifier.weight"))
	f.Add(config, adapterFile(f, "classifier.weight", 1))
	f.Add(config, adapterFile(f, "classifier.weight", 1, 0, 4))
	f.Add(config, adapterFile(f, "classifier.bias", 5, 5))
	f.Fuzz(func(t *testing.T, config, weights []byte) {
		testkit.Write(t, filepath.Join(folder, adapterConfig), config)
		testkit.Write(t, filepath.Join(folder, adapterWeights), weights)
		merged, err := Load(folder)
		if err != nil {
			testkit.Mistake(t, err, "")
			return
		}
		for i, x := range m.Tensors {
			if got, ok := merged.Tensor(x.Name); !ok || numbers(got.Shape) != len(got.Data) {
				t.Fatalf("tensor %d, %s, is %v with %d numbers", i, x.Name, got.Shape, len(got.Data))
			}
		}
	})
}

// adapterFile is weights with one tensor that stands for itself.
func adapterFile(t testing.TB, name string, shape ...int) []byte {
	path := filepath.Join(t.TempDir(), "x.safetensors")
	x := safetensors.Tensor{Name: peftPrefix + name, Shape: shape, Data: testkit.Fill(numbers(shape), 1)}
	testkit.Must(t, safetensors.WriteFile(fsys.OS, path, []safetensors.Tensor{x}, safetensors.F32, nil))
	raw, err := os.ReadFile(path)
	testkit.Must(t, err)
	return raw
}
