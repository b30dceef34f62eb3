package config

import (
	"strings"
	"testing"

	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/internal/optim"
	"github.com/flops-vit/flops/internal/settings"
)

// TestOwnOrder: the keys of implementations stand where config.yaml has always
// had them, since older journals carry a hash of it; new ones come last.
func TestOwnOrder(t *testing.T) {
	shown := func() string {
		b, err := Marshal(Default())
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	const want = `
optimizer:
    name: adamw
    lr: 0.001
    momentum: 0.9
    betas:
        - 0.9
        - 0.999
    eps: 1e-08
    weight_decay: 0
    schedule: constant
    warmup: 0
    step_size: 100
    gamma: 0.1
    min_lr: 0
    clip: 0
`
	if got := shown(); !strings.Contains(got, want) {
		t.Errorf("the section is another:\n%s", got)
	}
	r := optim.Register("new", nil).Takes(settings.New("again", []int{1}, "a list"))
	t.Cleanup(r.Forget)
	_, after, _ := strings.Cut(shown(), want)
	if got, _, _ := strings.Cut(after, "objective:\n"); !strings.Contains(got, "    again:\n        - 1\n") {
		t.Errorf("with a new key the section is:\n%s", got)
	}
}

// TestOwnTypes: what YAML takes for a whole number has the type of its key, so
// that a config that was written and read again says the same.
func TestOwnTypes(t *testing.T) {
	r, err := Load(write(t, "data: {kind: shapes}\noptimizer: {eps: 1}\nobjective: {temperature: 2}"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if optim.Eps.Of(r.Optimizer.Own) != 1 || objective.Temperature.Of(r.Objective.Own) != 2 {
		t.Errorf("read %v and %v", r.Optimizer.Own, r.Objective.Own)
	}
	var keys []string
	for _, d := range Differences(Default(), r.Config) {
		keys = append(keys, d.Key)
	}
	if got := strings.Join(keys, " "); !strings.Contains(got, "optimizer.eps objective.temperature") {
		t.Errorf("differences at %s", got)
	}
}

// TestOwnClash: a setting under a key that its section has is a programmer's
// mistake, which any use of the vocabulary shows.
func TestOwnClash(t *testing.T) {
	r := optim.Register("new", nil).Takes(settings.New("clip", 1.0, "of its own"))
	t.Cleanup(r.Forget)
	defer func() {
		if s, _ := recover().(string); !strings.Contains(s, "optimizer.clip of new") {
			t.Errorf("panicked with %q", s)
		}
	}()
	Keys()
}
