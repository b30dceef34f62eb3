package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"flops": func() { os.Exit(run()) }})
}

// TestScripts runs the commands as a user would: each file of testdata/script
// checks exit status, standard output and standard error.
func TestScripts(t *testing.T) {
	shared := os.Getenv("FLOPS_SHARED")
	if shared == "" {
		shared = "../../../shared"
	}
	shared, err := filepath.Abs(shared)
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("SHARED", shared)
			return nil
		},
		Condition: func(cond string) (bool, error) {
			if cond == "shared" {
				_, err := os.Stat(filepath.Join(shared, "models/vit-cifar5"))
				return err == nil, nil
			}
			return false, nil
		},
	})
}
