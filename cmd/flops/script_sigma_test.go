package main

import (
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// blind trains tiny.yaml with some keys set, and wants one warning about
// estimator.sigma where it is 1e-30, 1e-9 and 1e-7, and none where it is 0.01.
//
//	blind KEY=VALUE...
func blind(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: blind KEY=VALUE...")
	}
	for _, sigma := range []string{"1e-30", "1e-9", "1e-7", "0.01"} {
		run := strings.NewReplacer(".", "-", "=", "-").Replace(strings.Join(append([]string{"blind", sigma}, args...), "-"))
		all := []string{"train", "--config", "tiny.yaml", "--output", ts.MkAbs(run), "--set", "estimator.sigma=" + sigma}
		for _, s := range args {
			all = append(all, "--set", s)
		}
		ts.Check(ts.Exec("flops", all...))
		want := 1
		if sigma == "0.01" {
			want = 0
		}
		if got := strings.Count(ts.ReadFile("stderr"), "warning: estimator.sigma"); got != want {
			ts.Fatalf("sigma %s with %v: %d warnings, want %d:\n%s", sigma, args, got, want, ts.ReadFile("stderr"))
		}
	}
}
