package directions

import (
	"testing"

	"github.com/flops-vit/flops/internal/uierr"
	"github.com/flops-vit/flops/noise"
)

func TestNamesOfAConfig(t *testing.T) {
	for want, s := range map[string][2]string{"gaussian": {"gaussian", ""}, "rademacher": {"rademacher", "none"},
		"gaussian/sobol": {"gaussian", "sobol"}, "rademacher/halton": {"rademacher", "halton"}} {
		if got, err := New(s[0], s[1], 1); err != nil || got.Name() != want {
			t.Errorf("%v: %v, %v", s, got, err)
		}
	}
}

func TestMistakesAreRefused(t *testing.T) {
	mistake := func(what string, err error) {
		t.Helper()
		if e, ok := uierr.As(err); !ok || e.Hint == "" {
			t.Errorf("%s: %v, want a mistake with a hint", what, err)
		}
	}
	for _, k := range [][2]string{{"cauchy", "none"}, {"gaussian", "lattice"}} {
		_, err := New(k[0], k[1], 1)
		mistake(k[0]+" "+k[1], err)
	}
	s := noise.Sobol(noise.Normal, 1)
	if err := CheckDim(s, "block.0.mlp_in", 21201); err != nil {
		t.Error(err)
	}
	mistake("a long direction", CheckDim(s, "block.0.mlp_in", 21202))
	if err := CheckDim(noise.Gaussian(1), "x", 1<<30); err != nil {
		t.Error(err)
	}
	if err := CheckCounts(noise.MaxPair, noise.MaxSite); err != nil {
		t.Error(err)
	}
	mistake("many pairs", CheckCounts(noise.MaxPair+1, 1))
	mistake("many sites", CheckCounts(1, noise.MaxSite+1))
}
