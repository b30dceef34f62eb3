package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/runs"
	"github.com/flops-vit/flops/internal/train"
	"github.com/flops-vit/flops/internal/uierr"
)

// newRunFolder makes and locks the folder of a new run: the one given, or
// runs/NAME with a number where that is taken. A new run never writes into an
// old one, nor into one that another process has just begun.
func newRunFolder(dir, name string, warn func(string)) (string, *fsys.Lock, error) {
	if dir != "" {
		lock, free, err := claim(dir, warn)
		if err == nil && !free {
			err = uierr.New(fmt.Sprintf("--output %s: the folder is not empty", dir),
				"name another folder, or go on with that run by --resume "+dir)
		}
		return dir, lock, err
	}
	if name == "" {
		name = "run"
	}
	for i := 1; ; i++ {
		dir = filepath.Join("runs", name)
		if i > 1 {
			dir = fmt.Sprintf("%s-%d", dir, i)
		}
		lock, free, err := claim(dir, warn)
		if errors.Is(err, fsys.ErrLocked) {
			continue // begun by another process a moment ago
		}
		if err != nil || free {
			return dir, lock, err
		}
	}
}

// claim makes a folder and locks it; free is false where something else is in it.
func claim(dir string, warn func(string)) (lock *fsys.Lock, free bool, err error) {
	if taken(dir) {
		return nil, false, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, false, uierr.Wrap(err, fmt.Sprintf("run folder %s: %v", dir, err),
			"name a folder that can be written with --output")
	}
	lock, err = fsys.LockDir(dir, warn)
	if err == nil && taken(dir) { // another process began and ended there a moment ago
		return nil, false, lock.Unlock()
	}
	return lock, err == nil, err
}

// taken says whether a folder holds more than the files of a lock.
func taken(dir string) bool {
	all, err := os.ReadDir(dir)
	if err != nil {
		return false // what is wrong is told by who writes there
	}
	for _, e := range all {
		if !fsys.IsLockFile(e.Name()) {
			return true
		}
	}
	return false
}

// writeRunFiles writes the resolved experiment and where it runs.
func writeRunFiles(x *train.Experiment, dir string) error {
	if err := x.WriteConfig(dir); err != nil {
		return err
	}
	return runs.WriteEnv(fsys.OS, dir, x.Describe(versionString()))
}
