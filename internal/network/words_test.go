package network

import (
	"slices"
	"strings"
	"testing"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/safetensors"
)

// A learned context is given its values by name; contexts of all classes in one tensor,
// as older checkpoints have them, are cut; what does not fit is refused by name.
func TestBegin(t *testing.T) {
	of := func(names ...string) (out []*forward.Param) {
		for _, n := range names {
			out = append(out, &forward.Param{Name: n, Data: make([]float32, 2)})
		}
		return out
	}
	tensor := func(name string, v ...float32) safetensors.Tensor { return safetensors.Tensor{Name: name, Data: v} }
	each := []string{"prompt.context.0", "prompt.context.1"}
	type list = []safetensors.Tensor
	for name, c := range map[string]struct {
		params []*forward.Param
		from   list
		want   []float32
		err    string
	}{
		"shared":    {of("prompt.context"), list{tensor("prompt.context", 1, 2)}, []float32{1, 2}, ""},
		"per class": {of(each...), list{tensor(each[1], 3, 4), tensor(each[0], 1, 2)}, []float32{1, 2, 3, 4}, ""},
		"older":     {of(each...), list{tensor("prompt.context", 1, 2, 3, 4)}, []float32{1, 2, 3, 4}, ""},
		"too short": {of(each...), list{tensor("prompt.context", 1, 2, 3)}, nil, "has"},
		"too long":  {of(each...), list{tensor("prompt.context", 1, 2, 3, 4, 5)}, nil, "has"},
		"other":     {of("prompt.context"), list{tensor("prompt.subspace", 1, 2)}, nil, "prompt.subspace of 2"},
		"fewer":     {of("prompt.context"), list{tensor(each[0], 1, 2), tensor(each[1], 1, 2)}, nil, "describes 1"},
	} {
		err := begin(c.params, c.from)
		var got []float32
		for _, p := range c.params {
			got = append(got, p.Data...)
		}
		if c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%s: %v", name, err)
		}
		if c.err == "" && (err != nil || !slices.Equal(got, c.want)) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}
