package main

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flops-vit/flops/alloc"
	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/allocator"
	"github.com/flops-vit/flops/internal/lr"
	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/internal/optim"
	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/internal/settings"
)

// These tests write what somebody writes who adds one of each: an implementation
// with settings of its own, and its registration.

// number and word are the settings of a newcomer.
func number(key string) *settings.Key[float64] {
	return settings.New(key, 0.5, "how much of it", settings.From(0, 1))
}

func word(key, first string) *settings.Key[string] {
	return settings.New(key, first, "which of two", settings.Among(first, "second"))
}

// sum is a parameter that grows by a setting at every step, under the second word
// alone.
type sum struct {
	rate, value float64
}

func newSum(v settings.Values, rate *settings.Key[float64], on *settings.Key[string]) *sum {
	if on.Of(v) != "second" {
		return &sum{}
	}
	return &sum{rate: rate.Of(v)}
}

func (s *sum) step()             { s.value += s.rate }
func (s *sum) Params() []float64 { return []float64{s.value} }

type tilted struct {
	alloc.Allocator
	*sum
}

func (t tilted) Name() string             { return "tilted" }
func (t tilted) Observe(f alloc.Feedback) { t.Allocator.Observe(f); t.step() }

func TestNewAllocator(t *testing.T) {
	tilt, by := number("tilt"), word("tilt_by", "size")
	r := allocator.Register("tilted", func(o allocator.Options) (alloc.Allocator, error) {
		a, err := allocator.New("uniform", o)
		return tilted{a, newSum(o.Own, tilt, by)}, err
	}).Takes(tilt, by).Learns(settings.Param{Name: "slope", Doc: "of the shares by the loss"})
	t.Cleanup(r.Forget)
	n := newcomer{choose: "allocator.name", name: "tilted", number: "tilt", word: "tilt_by", first: "size",
		column: "allocator", param: "slope", doc: "of the shares by the loss", tag: "allocation/slope"}
	n.accepted(t)

	if help := must1(t, "allocate", "--help"); !strings.Contains(help, "--tilt float ") ||
		!strings.Contains(help, "tilted: how much of it (default 0.5)") {
		t.Errorf("the command without an experiment has no flag of it:\n%s", help)
	}
	if _, err := do(t, "allocate", "--allocator", "tilted", "--tilt", "3"); err == nil ||
		!strings.HasPrefix(err.Error(), "--tilt: 3 is out of range") {
		t.Errorf("a flag out of range: %v", err)
	}
	path, dir := n.experiment(t), t.TempDir()
	run := filepath.Join(dir, "run")
	must1(t, "train", "--config", path, "--output", run)
	must1(t, "allocate-report", "--config", filepath.Join(run, "config.yaml"),
		"--checkpoint", filepath.Join(run, "checkpoints", "last"), "--allocators", "tilted",
		"--pairs", "2", "--draws", "2", "--output", filepath.Join(dir, "report"))
	page, err := os.ReadFile(filepath.Join(dir, "report", "report.html"))
	if err != nil || !strings.Contains(string(page), "Parameters of the tilted allocator") ||
		!strings.Contains(string(page), drawn("slope", "of the shares by the loss")) {
		t.Errorf("allocate-report does not draw what it learned: %v", err)
	}
}

type wide struct {
	lr.Asker
	*sum
}

var _ lr.Asker = wide{}

func (w wide) Name() string { return "wide" }

func (w wide) Learn(s *forward.Step, records []forward.Record) error {
	w.step()
	return w.Asker.Learn(s, records)
}

func TestNewEstimator(t *testing.T) {
	spread, by := number("spread"), word("spread_by", "tensor")
	r := lr.Register("wide", func(m query.Model, o lr.Options) (lr.Estimator, error) {
		e, err := lr.New("weight", m, o)
		if err != nil {
			return nil, err
		}
		return wide{e.(lr.Asker), newSum(o.Own, spread, by)}, nil
	}).Takes(spread, by).Learns(settings.Param{Name: "width", Doc: "of the noise"})
	t.Cleanup(r.Forget)
	newcomer{choose: "estimator.name", name: "wide", number: "spread", word: "spread_by", first: "tensor",
		column: "estimator", param: "width", doc: "of the noise", tag: "estimator/width"}.accepted(t)
}

// margin is a hinge that widens with every batch.
type margin struct{ *sum }

func (margin) Name() string { return "margin" }

func (m margin) Losses(out, logits []float32, rows, classes int, labels []int32) error {
	for r := range rows {
		row := logits[r*classes : (r+1)*classes]
		best := float32(math.Inf(-1))
		for k, v := range row {
			if k != int(labels[r]) {
				best = max(best, v)
			}
		}
		out[r] = max(0, 1+best-row[labels[r]])
	}
	return nil
}

// Params is the margin, which does not move.
func (m margin) Params() []float64 { return []float64{4 * m.rate} }

func TestNewObjective(t *testing.T) {
	width, by := number("width"), word("width_by", "hinge")
	r := objective.Register("margin", func(o objective.Options) (objective.Objective, error) {
		return margin{newSum(o.Own, width, by)}, nil
	}).Takes(width, by).Learns(settings.Param{Name: "room", Doc: "between right and wrong"})
	t.Cleanup(r.Forget)
	newcomer{choose: "objective.kind", name: "margin", number: "width", word: "width_by", first: "hinge",
		column: "objective", param: "room", doc: "between right and wrong", tag: "objective/room"}.accepted(t)
}

type pulled struct {
	optim.Optimizer
	*sum
}

func (p pulled) Name() string { return "pulled" }

func (p pulled) Step(params []*forward.Param, lr float64) { p.Optimizer.Step(params, lr); p.step() }

func TestNewOptimizer(t *testing.T) {
	pull, by := number("pull"), word("pull_by", "sign")
	r := optim.Register("pulled", func(o optim.Options) optim.Optimizer {
		sgd, err := optim.New("sgd", o)
		if err != nil {
			panic(err)
		}
		return pulled{sgd, newSum(o.Own, pull, by)}
	}).Takes(pull, by, optim.Momentum).Learns(settings.Param{Name: "force", Doc: "of the pull"}).
		Keeps(settings.Param{Name: "momentum", Doc: "running update"})
	t.Cleanup(r.Forget)
	n := newcomer{choose: "optimizer.name", name: "pulled", number: "pull", word: "pull_by", first: "sign",
		column: "optimizer", param: "force", doc: "of the pull", tag: "optimizer/force"}
	n.accepted(t)
	n.tag = "optimizer/momentum_norm" // what it keeps is drawn, too
	n.trained(t, n.experiment(t))
}
