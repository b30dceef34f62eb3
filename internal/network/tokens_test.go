package network

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/hf"
	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/internal/safetensors"
	"github.com/flops-vit/flops/internal/testkit"
)

// TestLearnedIsReadAgain: tokens of every block and a temperature that are learned beside a model of
// any family are in its folder as it is written, and are read again.
func TestLearnedIsReadAgain(t *testing.T) {
	for _, dir := range zoos(t) {
		want := Tokens{2, true}
		l, err := LoadLocal(dir, []string{"a", "b"}, want, 5)
		testkit.Must(t, err)
		m := l.Model()
		m.Extra = append(m.Extra, safetensors.Tensor{Name: objective.LogScale, Shape: []int{1}, Data: []float32{3}})
		to := filepath.Join(t.TempDir(), "written")
		testkit.Must(t, hf.Save(fsys.OS, to, m, safetensors.F32))
		again, err := LoadLocal(to, nil, Tokens{}, 0)
		if err != nil {
			t.Errorf("%s, %s: %v", dir, want, err)
			continue
		}
		if !slices.Equal(again.LogScale, []float32{3}) {
			t.Errorf("%s, %s: a temperature of %v", dir, want, again.LogScale)
		}
		tokens := 0
		for i, p := range l.Weights.Params() {
			if q := again.Weights.Params()[i]; p.Name != q.Name || !slices.Equal(p.Data, q.Data) {
				t.Errorf("%s, %s: %s is not %s", dir, want, q.Name, p.Name)
			}
			if p.Role == "prompt" {
				tokens++
			}
		}
		if tokens < 2 {
			t.Errorf("%s, %s: %d tensors of tokens", dir, want, tokens)
		}
	}
}
