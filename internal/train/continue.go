package train

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/flops-vit/flops/internal/checkpoint"
	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/journal"
	"github.com/flops-vit/flops/internal/runs"
	"github.com/flops-vit/flops/internal/uierr"
	"github.com/flops-vit/flops/internal/vit"
)

// changeable are the keys, and with a point at their end the sections, that a
// run may change when it is resumed. Nothing that a step computes depends on
// them, but for the rate on the number of steps, which the journal notes. That
// a folder is the one it was, wherever it lies now, env.json's sums say.
var changeable = []string{"name", "extends", "model.path", "model.url", "model.binary", "model.in_flight", "model.max_batch", "model.timeout", "model.retries",
	"model.token_env", "model.token_file", "model.ca_file", "data.path", "data.workers", "budget.max_queries",
	"train.steps", "train.eval_every", "train.cosine", "train.eval_images", "train.log_every", "train.tensorboard", "train.threads", "train.device",
	"train.cache", "train.cache_dir", "train.on_divergence", "train.rollback_factor", "train.max_rollbacks", "checkpoint.", "cluster."}

// recorded are the sections that only decide what the journal holds already: a
// replay does not look at them.
var recorded = []string{"allocator.", "budget."}

func among(key string, list []string) bool {
	return slices.ContainsFunc(list, func(k string) bool { return k == key || strings.HasSuffix(k, ".") && strings.HasPrefix(key, k) })
}

// Changes are what a config changes of the run in a folder that it is to go on
// with. A change that cannot be is an *uierr.Error that names the key and both
// values.
func Changes(dir string, now config.Config) ([]config.Difference, error) {
	before, err := config.Stored(filepath.Join(dir, "config.yaml"))
	if err != nil {
		return nil, err
	}
	all := config.Differences(before, now)
	return all, refuse(dir, all, changeable, "leave it out, or begin a new run: a run that goes on may change train.steps, eval_every, eval_images, "+
		"on_divergence, budget.max_queries, checkpoint.* and what docs/formats.md lists")
}

// refuse names the differences that are not allowed.
func refuse(dir string, all []config.Difference, allowed []string, hint string) error {
	var bad []string
	for _, d := range all {
		if !among(d.Key, allowed) {
			bad = append(bad, fmt.Sprintf("%s is %s in the run, and %s here", d.Key, d.From, d.To))
		}
	}
	if len(bad) == 0 {
		return nil
	}
	return uierr.New(dir+": "+strings.Join(bad, "; "), hint)
}

// Continue prepares a run folder for what is changed of its run: it refuses
// data that is not what the run began with, unless force is given, and notes in
// env.json and config.yaml what is different from here on. warn gets a line about
// each change that a reader of the results must know of.
func (x *Experiment) Continue(dir, version string, changes []config.Difference, force bool) error {
	env, err := runs.ReadEnv(dir)
	if err != nil {
		return err
	}
	if env == nil { // killed between the run's first two files
		return runs.WriteEnv(fsys.OS, dir, x.Describe(version))
	}
	steps, err := (&checkpoint.Store{Run: dir}).Steps()
	if err != nil {
		return err
	}
	at := 0
	if len(steps) > 0 {
		at = steps[len(steps)-1]
	}
	if n := x.Config.Train.Steps; n < at {
		return uierr.New(fmt.Sprintf("train.steps: %d, and the run in %s has made %d already", n, dir, at), fmt.Sprintf("give at least %d", at))
	}
	now := x.Describe(version)
	other := env.DataChanges(now)
	if len(other) > 0 && !force {
		return uierr.New(fmt.Sprintf("data.path: %s is not what the run began with: %s", x.Config.Data.Path, strings.Join(other, "; ")),
			"restore the data, or go on with what is there by --force; env.json will say so")
	}
	x.warnOfModel(env, now)
	if err := x.sameArithmetic(env, now); err != nil {
		return err
	}
	if line, noted := x.formChanged(env); noted {
		return uierr.New(line, newOrOld)
	} else if line != "" {
		x.warn(line)
		env.Changes = append(env.Changes, runs.Change{Step: at, Difference: config.Difference{Key: "bf16",
			From: "not noted", To: now.BF16}})
	}
	for _, c := range changes {
		env.Changes = append(env.Changes, runs.Change{Step: at, Difference: c})
		if c.Key == "train.steps" && x.Schedule.Bounded() && at > 0 {
			x.warn(fmt.Sprintf("train.steps was %s and is %s: from step %d on the %s rate is that of a run of %s steps", c.From, c.To, at, x.Schedule.Kind, c.To))
		}
	}
	for _, s := range other {
		env.Changes = append(env.Changes, runs.Change{Step: at, Difference: config.Difference{Key: "data", From: s, To: "went on by --force"}})
	}
	if len(env.Changes) > 0 && env.Journal == "" {
		if h, err := x.journalHash(dir); err == nil {
			env.Journal = hex.EncodeToString(h[:])
		}
	}
	if len(other) > 0 || len(env.Data) == 0 {
		env.Data, env.Checksum = now.Data, now.Checksum
	}
	if err := runs.WriteEnv(fsys.OS, dir, *env); err != nil || len(changes) == 0 {
		return err
	}
	return x.WriteConfig(dir)
}

// WriteConfig writes the resolved experiment into its run folder.
func (x *Experiment) WriteConfig(dir string) error {
	b, err := config.Marshal(x.Config)
	if err != nil {
		return err
	}
	return fsys.WriteFile(fsys.OS, filepath.Join(dir, "config.yaml"), b)
}

func (x *Experiment) warn(line string) {
	if x.Warn != nil {
		x.Warn(line)
	}
}

// newOrOld is what to do about a run whose bits this version does not make.
const newOrOld = "go on with the version of flops that env.json names, or begin a new run"

// sameArithmetic tells of kernels that make other bits than those that the run began
// with; one in bf16, whose kernels all have the same, does not go on with them.
func (x *Experiment) sameArithmetic(was *runs.Env, now runs.Env) error {
	if was.Canary == "" || was.Canary == now.Canary || was.Device != now.Device {
		return nil
	}
	what := fmt.Sprintf("the run began with kernel %s and this machine computes with %s: their results differ in the last "+
		"digits", was.Kernel, now.Kernel)
	if x.Config.Train.Precision != vit.BF16 {
		x.warn(what)
		return nil
	}
	name, _, _ := strings.Cut(was.Kernel, " ")
	return uierr.New(what, "set FLOPS_KERNEL="+name+", where the processor has that, or begin a new run")
}

// warnOfModel tells of a starting model that is not the run's. Its weights do
// not matter any more, since the run has its own; how it prepares images does.
func (x *Experiment) warnOfModel(was *runs.Env, now runs.Env) {
	if was.Model != "" && now.Model != "" && was.Model != now.Model {
		x.warn(fmt.Sprintf("model.path: %s is not the model that the run began with (checksum %.12s, now %.12s): its weights are not used, its preprocessing is",
			x.Config.Model.Path, was.Model, now.Model))
	}
}

// fingerprint names an experiment: two runs of one fingerprint on the same data
// and model take the same steps. It holds the keys that a resumed run cannot change and that are not at
// their default, so that a key that is new in the program renames no run.
func (x *Experiment) fingerprint(c config.Config) [sha256.Size]byte {
	h := sha256.New()
	for _, d := range config.Differences(config.Origin(), c) {
		if !among(d.Key, changeable) {
			fmt.Fprintf(h, "%s: %s\n", d.Key, d.To)
		}
	}
	if x.align != nil {
		h.Write(x.digest())
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// journalHash is the hash that the journal of a run folder carries, where it is
// that of the experiment. Journals of older versions carry a hash of all of
// config.yaml, which a change of it would end: env.json then keeps it.
func (x *Experiment) journalHash(dir string) (hash [sha256.Size]byte, err error) {
	path := filepath.Join(dir, "journal.bin")
	j, err := journal.Open(path)
	if err != nil {
		return hash, err
	}
	hash = j.Hash()
	if err := j.Close(); err != nil {
		return hash, err
	}
	if hash == x.fingerprint(x.Config) {
		return hash, nil
	}
	raw, err := os.ReadFile(filepath.Join(dir, "config.yaml"))
	if errors.Is(err, fs.ErrNotExist) {
		return hash, uierr.New(path+": the journal of another experiment", "resume with the config.yaml of the run folder")
	}
	if err != nil {
		return hash, err
	}
	stored, err := config.Stored(filepath.Join(dir, "config.yaml"))
	if err != nil {
		return hash, err
	}
	env, err := runs.ReadEnv(dir)
	if err != nil {
		return hash, err
	}
	if hash == x.fingerprint(stored) || hash == x.oldFingerprint(raw) || env != nil && env.Journal == hex.EncodeToString(hash[:]) {
		return hash, nil
	}
	return hash, uierr.New(path+": the journal of another experiment than config.yaml", "restore the config.yaml that the run began with")
}

// oldFingerprint is what versions before 2 of the rule made of config.yaml: the
// file with a few keys emptied.
func (x *Experiment) oldFingerprint(raw []byte) [sha256.Size]byte {
	var doc yaml.Node
	if yaml.Unmarshal(raw, &doc) != nil || len(doc.Content) == 0 {
		return [sha256.Size]byte{}
	}
	for key, v := range map[string]string{"train.threads": "0", "train.log_every": "0", "data.workers": "0", "train.tensorboard": "false",
		"train.device": "", "name": "", "extends": ""} {
		section, name, ok := strings.Cut(key, ".")
		at := doc.Content[0]
		if !ok {
			section, name = "", key
		} else if at = child(at, section); at == nil {
			continue
		}
		if n := child(at, name); n != nil {
			n.Value, n.Style = v, 0
			if v == "" {
				n.Tag, n.Style = "!!str", yaml.DoubleQuotedStyle
			}
		}
	}
	var out bytes.Buffer
	e := yaml.NewEncoder(&out)
	if e.Encode(&doc) != nil || e.Close() != nil {
		return [sha256.Size]byte{}
	}
	if x.align != nil {
		out.Write(x.digest())
	}
	return sha256.Sum256(out.Bytes())
}

// child is the value of a mapping's key.
func child(n *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// stepValues are the numbers that a step's record carries beside its queries:
// the factor on the rate and, where the rate depends on the number of steps, that
// number, which a resumed run may change.
func (t *Trainer) stepValues() []float64 {
	v := []float64{t.Factor}
	if t.X.Schedule.Bounded() {
		v = append(v, float64(t.X.Schedule.Steps))
	}
	return v
}

// setValues puts them back.
func (t *Trainer) setValues(v []float64) {
	if len(v) > 0 {
		t.Factor = v[0]
	}
	if len(v) > 1 {
		t.X.Schedule.Steps = int(v[1])
	}
}
