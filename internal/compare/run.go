package compare

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/uierr"
)

// Launch trains in a process of its own: `flops train` with these arguments,
// its output in a file. It returns the process's peak of memory in MiB, 0 where
// the system does not say.
type Launch func(ctx context.Context, args []string, log string) (peakMiB float64, err error)

// Progress is told about every run: before it with a nil result, and after it.
type Progress func(n, of int, r Run, res *Result, had bool)

// same refuses a run folder that holds another experiment. A key that its config
// lacks, as that of an older version does, has its default.
func (p *Plan) same(r Run) error {
	path := filepath.Join(p.Dir, r.Name, "config.yaml")
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	have, err := config.Stored(path)
	if err != nil {
		return err
	}
	var other []string
	for _, d := range config.Differences(have, p.ConfigOf(r)) {
		other = append(other, fmt.Sprintf("%s is %s there, and %s here", d.Key, d.From, d.To))
	}
	if len(other) == 0 {
		return nil
	}
	return uierr.New(fmt.Sprintf("%s is another experiment than arm %s of this comparison: %s",
		path, p.Arms[r.Arm].Name, strings.Join(other, "; ")),
		"name another folder with --output, or go on with the config, arms and queries that it was begun with")
}

// one trains a run, from the start or from where it was, and returns the peak of its memory.
func (p *Plan) one(ctx context.Context, r Run, launch Launch) (float64, error) {
	folder := filepath.Join(p.Dir, r.Name)
	raw, err := config.Marshal(p.ConfigOf(r))
	if err != nil {
		return 0, err
	}
	plan := folder + ".yaml"
	if err := os.MkdirAll(filepath.Dir(folder), 0o755); err != nil {
		return 0, uierr.Wrap(err, fmt.Sprintf("--output %s: %v", p.Dir, err), "name a folder that can be written")
	}
	args := []string{"train", "--config", plan, "--output", folder}
	if _, err := os.Stat(filepath.Join(folder, "config.yaml")); err == nil {
		args = []string{"train", "--resume", folder}
	} else if err := fsys.WriteFile(fsys.OS, plan, raw); err != nil {
		return 0, err
	}
	peak, err := launch(ctx, args, folder+".log")
	if err != nil {
		return 0, inArm(p.Arms[r.Arm], fmt.Errorf("seed %d: %w (all it said is in %s)", r.Seed, err, folder+".log"))
	}
	return peak, nil
}
