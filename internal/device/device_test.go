package device

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/cuda"
	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/internal/uierr"
	"github.com/flops-vit/flops/internal/vit"
)

// replace puts another kind under a name until the test ends.
func replace(t *testing.T, name string, k Kind) {
	was := Register(name, k)
	t.Cleanup(func() { Register(name, was) })
}

func net(t *testing.T) *vit.Net {
	t.Helper()
	w, err := vit.NewWeights(vit.Arch{Image: 8, Patch: 4, Chans: 3, Hidden: 8, Layers: 1, Heads: 2, MLP: 8,
		Classes: 2, Eps: 1e-6})
	if err != nil {
		t.Fatal(err)
	}
	return vit.NewNet(w)
}

// stub is a processor that says that it is another device.
type stub struct{ Model }

func (stub) Device() string { return "cuda:1, stub" }

func TestSettle(t *testing.T) {
	there := false
	var opened string
	replace(t, "cuda", Kind{Hint: "get one", Available: func() (bool, string) { return there, "none is plugged in" },
		Open: func(spec string, n *vit.Net, o Options) (Model, error) {
			opened = spec
			m, err := Open(CPU, n, o)
			return stub{m}, err
		}})
	for _, c := range []struct {
		there             bool
		spec, want, wrong string
	}{
		{false, "auto", "cpu", ""}, {false, "", "cpu", ""}, {false, "cpu", "cpu", ""},
		{true, "auto", "cuda", ""}, {true, "", "cuda", ""}, {true, "cpu", "cpu", ""}, {true, "cuda:1", "cuda:1", ""},
		{false, "cuda", "", "device cuda: none is plugged in"}, {false, "cuda:1", "", "device cuda:1: none is plugged in"},
		{true, "gpu", "", `device "gpu": there is none of that name`}, {false, "cpu:1", "", `device "cpu:1"`},
	} {
		there, opened = c.there, ""
		got, err := Settle(c.spec)
		u, mistake := uierr.As(err)
		if got != c.want || (err != nil) != (c.wrong != "") ||
			err != nil && (!mistake || !strings.Contains(u.What, c.wrong) || u.Hint == "") {
			t.Errorf("%q, there %v: %q, %v", c.spec, c.there, got, err)
		}
		m, err := Open(c.spec, net(t), Options{Threads: 1, Loss: objective.CE{}})
		if (err != nil) != (c.wrong != "") {
			t.Errorf("%q, there %v: opened with %v", c.spec, c.there, err)
		}
		if err != nil {
			continue
		}
		if where := m.Device(); (where == "cpu") != (c.want == "cpu") || opened != strings.TrimPrefix(c.want, "cpu") {
			t.Errorf("%q, there %v: runs on %q, opened %q", c.spec, c.there, where, opened)
		}
	}
	if s := strings.Join(Settings(), " "); s != "auto cpu cuda cuda:1" {
		t.Error("settings:", s)
	}
}

// TestNoneHere: where there is no device, nothing that names one runs on the
// processor instead.
func TestNoneHere(t *testing.T) {
	if ok, _ := cuda.Available(); ok {
		t.Skip("there is a device here")
	}
	for _, spec := range []string{"cuda", "cuda:0", "cuda:1"} {
		if m, err := Open(spec, net(t), Options{Loss: objective.CE{}}); err == nil {
			t.Errorf("%s: opened %s", spec, m.Device())
		}
	}
	if _, err := kinds["cuda"].Open("cuda", net(t), Options{Loss: objective.CE{}}); err == nil {
		t.Error("the kind itself opened what is not there")
	}
}

// TestNoise: a model asks its queries in the directions that the options name.
func TestNoise(t *testing.T) {
	ctx := context.Background()
	b := &forward.Batch{Size: 1, Inputs: make([]float32, 192), Labels: make([]int32, 1), Index: make([]int32, 1)}
	p := &forward.Perturbation{Sites: []int{7}, Sigma: []float32{1}} // the classifier
	loss := func(n *Noise) float32 {
		m, err := Open(CPU, net(t), Options{Threads: 1, Loss: objective.CE{}, Noise: n})
		if err != nil {
			t.Fatal(err)
		}
		pass, err := m.Clean(ctx, b, p.Sites)
		if err != nil {
			t.Fatal(err)
		}
		out := make([]float32, 1)
		if err := pass.Losses(ctx, p, []forward.Query{{Sign: 1}}, out); err != nil {
			t.Fatal(err)
		}
		return out[0]
	}
	seen := map[float32]bool{}
	for _, n := range []Noise{{Kind: "gaussian", QMC: "none", Seed: 1}, {Kind: "gaussian", QMC: "none", Seed: 2},
		{Kind: "rademacher", QMC: "none", Seed: 1}, {Kind: "gaussian", QMC: "sobol", Seed: 1}} {
		seen[loss(&n)] = true
	}
	if len(seen) < 4 {
		t.Errorf("four kinds of directions gave %d losses", len(seen))
	}
	if _, err := Open(CPU, net(t), Options{Noise: &Noise{Kind: "cauchy"}}); err == nil {
		t.Error("unknown noise was accepted")
	}
}

// TestSettingOfNewKind: a kind that registers may be written in an experiment.
func TestSettingOfNewKind(t *testing.T) {
	c := config.Origin()
	c.Data.Kind, c.Train.Device = "shapes", "metal:1"
	if err := config.Validate(&c); err == nil {
		t.Fatal("a device that there is not was taken")
	}
	Register("metal", Kind{Available: func() (bool, string) { return false, "it is a stub" }})
	t.Cleanup(func() {
		delete(kinds, "metal")
		order = order[:len(order)-1]
	})
	if err := config.Validate(&c); err != nil {
		t.Error(err)
	}
	if ok, why := Available("metal"); !slices.Contains(Kinds(), "metal") || ok || why != "it is a stub" {
		t.Errorf("kinds %v; metal is there: %v, %q", Kinds(), ok, why)
	}
	for _, spec := range []string{"metal", "cuda:1", "cpu", "auto"} {
		if c.Train.Device = spec; config.Validate(&c) != nil {
			t.Errorf("%s is refused", spec)
		}
	}
}
