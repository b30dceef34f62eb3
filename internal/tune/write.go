package tune

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/flops-vit/flops/internal/compare"
	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/runs"
	"gopkg.in/yaml.v3"
)

// Files that Write makes in the folder of a search.
const (
	ResultFile = "tune.json"
	BestFile   = "best.yaml" // of an experiment without arms
	ArmsFile   = "arms.yaml" // of arms, for 'flops compare --arms'
)

// Report is tune.json.
type Report struct {
	Experiment string         `json:"experiment"`
	By         string         `json:"by"`    // what tries are compared by, on the validation split
	Share      float64        `json:"share"` // that was allowed
	Searches   []SearchReport `json:"searches"`
}

// SearchReport is one search of a Report.
type SearchReport struct {
	Arm     string      `json:"arm,omitempty"`
	Over    []Axis      `json:"over"`
	Chosen  []string    `json:"chosen"`  // key=value
	Queries int64       `json:"queries"` // of training that all tries took
	Whole   int64       `json:"whole"`   // of the run that is tuned for
	Steps   int         `json:"steps"`   // of that run
	Tries   []TryReport `json:"tries"`   // best first
}

// TryReport is one try of a SearchReport.
type TryReport struct {
	Set        []string   `json:"set"`
	Step       int        `json:"step"` // that it was last measured after
	Validation *runs.Eval `json:"validation,omitempty"`
	Diverged   string     `json:"diverged,omitempty"`
}

// Report says what searches came to.
func (p *Plan) Report(all []Outcome) Report {
	r := Report{Experiment: p.Name, By: p.By, Share: p.Share}
	for _, o := range all {
		s := SearchReport{Arm: o.Arm.Name, Over: o.Axes, Chosen: o.Best.Sets, Queries: o.Queries, Whole: o.Whole,
			Steps: o.Best.whole}
		for _, t := range o.Tries {
			s.Tries = append(s.Tries, TryReport{t.Sets, t.Step, t.Eval, t.Diverged})
		}
		r.Searches = append(r.Searches, s)
	}
	return r
}

// Write writes the report and what was chosen, and names the file of the latter.
func (p *Plan) Write(all []Outcome) (string, error) {
	raw, err := json.MarshalIndent(p.Report(all), "", "  ")
	if err != nil {
		return "", fmt.Errorf("tune: %w", err)
	}
	if err := fsys.WriteFile(fsys.OS, filepath.Join(p.Dir, ResultFile), append(raw, '\n')); err != nil {
		return "", err
	}
	name, make := BestFile, p.best
	if all[0].Arm.Name != "" {
		name, make = ArmsFile, p.arms
	}
	if raw, err = make(all); err != nil {
		return "", err
	}
	path := filepath.Join(p.Dir, name)
	return path, fsys.WriteFile(fsys.OS, path, raw)
}

// best is the experiment with what was chosen, which extends the one that was given.
func (p *Plan) best(all []Outcome) ([]byte, error) {
	o := all[0]
	c, err := p.Resolve(o.Best.Sets, func(string) {})
	if err != nil {
		return nil, err
	}
	extends, err := p.from(p.Config)
	if err != nil {
		return nil, err
	}
	var keys []string
	for _, s := range slices.Concat(p.Sets, o.Best.Sets) {
		key, _, _ := strings.Cut(s, "=")
		keys = append(keys, strings.TrimSpace(key))
	}
	raw, err := config.MarshalKeys(c, extends, keys)
	return append([]byte(p.head(o)), raw...), err
}

// from is a path as a file in the search's folder names it.
func (p *Plan) from(path string) (string, error) {
	at, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("tune: %w", err)
	}
	dir, err := filepath.Abs(p.Dir)
	if err != nil {
		return "", fmt.Errorf("tune: %w", err)
	}
	if rel, err := filepath.Rel(dir, at); err == nil {
		at = rel
	}
	return filepath.ToSlash(at), nil
}

// head is the comment that tells of a choice.
func (p *Plan) head(o Outcome) string {
	e := o.Best.Eval
	return fmt.Sprintf("# flops tune --config %s: %s, the best of %d tries by validation %s.\n"+
		"# Loss %.4f, %s %.4f there after %d of %d steps, seed %d; tuning took %d of %d queries.\n", p.Config,
		strings.Join(o.Best.Sets, ", "), len(o.Tries), p.By, e.Loss(), e.Goal, e.Score(), o.Best.Step,
		o.Best.whole, o.Best.config.Train.Seed, o.Queries, o.Whole)
}

// arms are the arms with what was chosen for each.
func (p *Plan) arms(all []Outcome) ([]byte, error) {
	var out bytes.Buffer
	var file struct {
		Arms []compare.Arm `yaml:"arms"`
	}
	for _, o := range all {
		out.WriteString(p.head(o))
		a := o.Arm
		a.Set = slices.Concat(a.Set, o.Best.Sets)
		file.Arms = append(file.Arms, a)
	}
	e := yaml.NewEncoder(&out)
	e.SetIndent(2)
	err := e.Encode(file)
	return out.Bytes(), err
}
