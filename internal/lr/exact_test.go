package lr

import (
	"slices"
	"testing"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/internal/settings"
	"github.com/flops-vit/flops/internal/vit"
)

// TestExactOutput: with exact_output the classifier's gradient is backpropagation's
// bit for bit, for networks of two families, batches of more than one micro-batch and
// any number of workers, asks no query, and leaves the other sites theirs; the records
// alone give it again.
func TestExactOutput(t *testing.T) {
	for _, arch := range []vit.Architecture{tinyArch, vit.CLIPVision{Arch: tinyArch, Projected: 10}} {
		m, small, src := network(t, arch, true)
		b := &forward.Batch{Size: 4 * 9}
		for range 9 {
			b.Inputs, b.Labels = append(b.Inputs, small.Inputs...), append(b.Labels, small.Labels...)
		}
		for i := range b.Inputs {
			b.Inputs[i] *= 1 + float32(i%7)/10
		}
		last := lastMap(m)
		out := m.Sites()[last]
		if out.Kind != vit.Classifier || !out.Output || m.Sites()[last-1].Output {
			t.Fatalf("the output is not known as such: %+v", out)
		}
		clearGrads(m)
		if _, err := m.Backward(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		want := [][]float32{slices.Clone(m.Params()[out.Weight].Grad), slices.Clone(m.Params()[out.Bias].Grad)}
		e, err := newAsker("activation", m, Options{Sigma: 0.01, Sites: []int{last - 1, last}, Noise: src,
			Own: settings.Values{"exact_output": true}})
		if err != nil {
			t.Fatal(err)
		}
		if p := e.Plan(0); len(p) != 1 || p[0].Sites[0] != last-1 {
			t.Fatalf("plans %+v", p)
		}
		s, err := Prepare(t.Context(), m, e, 0, b)
		if err != nil {
			t.Fatal(err)
		}
		s.Counts = slices.Repeat([]int{1}, b.Size)
		r, err := Ask(t.Context(), m, e, s)
		if err != nil || r.Queries != int64(b.Size) {
			t.Fatal(r, err)
		}
		clearGrads(m)
		params, err := Apply(t.Context(), m, e, s, r.Records)
		if err != nil || !slices.Contains(params, out.Weight) || !slices.Contains(params, out.Bias) {
			t.Fatal(params, err)
		}
		for k, p := range []int{out.Weight, out.Bias} {
			if got := m.Params()[p].Grad; !slices.Equal(got, want[k]) {
				t.Errorf("%T: %s is %v, by backpropagation %v", arch, m.Params()[p].Name, got, want[k])
			}
		}
	}
}

// TestExactOutputWhereItCan: an objective without a derivative, and a network whose
// classifier is not trained, keep their queries.
func TestExactOutputWhereItCan(t *testing.T) {
	m, _, src := tiny(t, true)
	last := lastMap(m)
	loss, err := objective.New("accuracy")
	if err != nil {
		t.Fatal(err)
	}
	jumps := vit.NewModel(vit.NewNet(must(vit.NewWeights(tinyArch))), vit.Options{Noise: src, Loss: loss, Mask: true})
	for _, c := range []struct {
		m     *vit.Model
		sites []int
		plans int
	}{{m, []int{last}, 0}, {m, []int{0, 1}, 2}, {jumps, []int{1, last}, 2}} {
		e, err := newAsker("activation", c.m, Options{Sigma: 0.01, Sites: c.sites, Noise: src,
			Own: settings.Values{"exact_output": true}})
		if err != nil {
			t.Fatal(err)
		}
		if p := e.Plan(0); len(p) != c.plans {
			t.Errorf("sites %v: %d perturbations, want %d", c.sites, len(p), c.plans)
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// lastMap is the last site that is a map; the outputs of blocks come after it.
func lastMap(m *vit.Model) int {
	i := len(m.Sites()) - 1
	for m.Sites()[i].Kind == vit.Residual {
		i--
	}
	return i
}
