package hf

import (
	"testing"

	"github.com/flops-vit/flops/internal/jsonobj"
)

// FuzzTextConfig: no config of a text tower makes its reader panic, and one that is
// accepted has a shape whose tensors do not overflow.
func FuzzTextConfig(f *testing.F) {
	for _, s := range []string{`{"model_type":"clip","projection_dim":8,"text_config":{"hidden_size":8,` +
		`"num_hidden_layers":1,"num_attention_heads":2,"intermediate_size":16,"vocab_size":9,"max_position_embeddings":5,"eos_token_id":2}}`,
		`{"model_type":"siglip","text_config":{"hidden_size":8,"projection_size":null,"vocab_size":-1}}`,
		`{"model_cfg":{"embed_dim":8,"text_cfg":{"width":8,"heads":2,"layers":1,"context_length":5,"vocab_size":9}}}`,
		`{"model_type":"clip","text_config_dict":{"hidden_size":1e9},"text_config":[]}`, `{"text_config":null}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		keys, err := jsonobj.Raw(raw)
		if err != nil {
			return
		}
		for _, family := range textFamilies {
			if !family.is(keys) {
				continue
			}
			a, err := family.read(keys)
			if err != nil || a.Check() != nil {
				continue
			}
			for _, p := range a.Params() {
				n := 1
				for _, d := range p.Shape {
					if n *= d; n <= 0 {
						t.Fatalf("%s of %s: %v overflows", p.Name, family.name, p.Shape)
					}
				}
			}
		}
	})
}
