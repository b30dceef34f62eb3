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

// Do runs what is missing and returns the results by arm and seed. A run that
// was begun goes on where it was; a run folder of another experiment is refused.
func (p *Plan) Do(ctx context.Context, launch Launch, tell Progress) ([][]Result, error) {
	out := make([][]Result, len(p.Arms))
	runs := p.Runs()
	for _, r := range runs { // before anything runs
		if err := p.same(r); err != nil {
			return nil, err
		}
	}
	for i, r := range runs {
		res, err := load(p.Dir, r)
		if err != nil {
			return nil, err
		}
		had := res != nil
		if !had {
			tell(i+1, len(runs), r, nil, false)
			if res, err = p.one(ctx, r, launch); err != nil {
				return nil, err
			}
		}
		tell(i+1, len(runs), r, res, had)
		out[r.Arm] = append(out[r.Arm], *res)
	}
	return out, nil
}

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

// one trains a run, from the start or from where it was.
func (p *Plan) one(ctx context.Context, r Run, launch Launch) (*Result, error) {
	folder := filepath.Join(p.Dir, r.Name)
	raw, err := config.Marshal(p.ConfigOf(r))
	if err != nil {
		return nil, err
	}
	plan := folder + ".yaml"
	if err := os.MkdirAll(filepath.Dir(folder), 0o755); err != nil {
		return nil, uierr.Wrap(err, fmt.Sprintf("--output %s: %v", p.Dir, err), "name a folder that can be written")
	}
	args := []string{"train", "--config", plan, "--output", folder}
	if _, err := os.Stat(filepath.Join(folder, "config.yaml")); err == nil {
		args = []string{"train", "--resume", folder}
	} else if err := fsys.WriteFile(fsys.OS, plan, raw); err != nil {
		return nil, err
	}
	peak, err := launch(ctx, args, folder+".log")
	if err != nil {
		return nil, inArm(p.Arms[r.Arm], fmt.Errorf("seed %d: %w (all it said is in %s)", r.Seed, err, folder+".log"))
	}
	return collect(p.Dir, r, peak)
}
