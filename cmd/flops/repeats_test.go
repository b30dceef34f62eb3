package main

import (
	"fmt"
	"path/filepath"

	"github.com/rogpeppe/go-internal/testscript"
)

// repeats makes a run, and wants the same weights and the same state of the optimizer of
// one with three workers, of one that was broken off, and the weights of its replay.
//
//	repeats RUN STEPS --config FILE [--set KEY=VALUE]...
func repeats(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: repeats RUN STEPS --config FILE ...")
	}
	run, steps, given := args[0], args[1], args[2:]
	train := func(to string, more ...string) {
		ts.Check(ts.Exec("flops", append(append([]string{"train", "--output", to}, given...), more...)...))
	}
	at := func(run, name string) string {
		return ts.MkAbs(filepath.Join(run, "checkpoints", "step-"+steps, name))
	}
	train(run)
	train(run+"-three", "--set", "train.threads=3")
	train(run+"-broken", "--set", "train.steps=2")
	ts.Check(ts.Exec("flops", "train", "--resume", run+"-broken", "--set", "train.steps="+steps))
	ts.Check(ts.Exec("flops", "replay", run, "--to", steps, "--output", run+"-again"))
	for _, name := range []string{"model.safetensors", "optimizer.safetensors"} {
		want := ts.ReadFile(at(run, name))
		others := []string{at(run+"-three", name), at(run+"-broken", name)}
		if name == "model.safetensors" {
			others = append(others, ts.MkAbs(filepath.Join(run+"-again", name)))
		}
		for _, other := range others {
			if ts.ReadFile(other) != want {
				ts.Fatalf("%s", fmt.Sprintf("%s is not that of %s", other, run))
			}
		}
	}
	train(run+"-bp", "--set", "estimator.name=bp", "--set", "estimator.schedule=")
}
