package checkpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/hf"
	"github.com/flops-vit/flops/internal/jsonobj"
	"github.com/flops-vit/flops/internal/safetensors"
	"github.com/flops-vit/flops/internal/uierr"
)

const (
	folder        = "checkpoints"
	optimizerName = "optimizer.safetensors"
	stateName     = "state.json"
	lastName      = "last"
	bestName      = "best"

	stateFormat = 1

	// Prefixes of folders that are being made, replaced and removed.
	newPrefix = ".new-"
	oldPrefix = ".old-"
	delPrefix = ".del-"
)

// Checkpoint is all that a run needs to go on after a step.
type Checkpoint struct {
	Step int
	// Model has the weights; its Config may be nil for a model that is only
	// called, whose learned tensors are then in Extra.
	Model *hf.Model
	// Optimizer has the optimizer's tensors, saved as F32 bit for bit.
	Optimizer []safetensors.Tensor
	// State is what else the run carries along: any value that encoding/json
	// writes. After loading it is the json.RawMessage of that value.
	State any
}

// ReadState decodes the state of a loaded checkpoint into v; a key that v does
// not have is an error.
func (c *Checkpoint) ReadState(v any) error {
	raw, ok := c.State.(json.RawMessage)
	if !ok {
		return errors.New("checkpoint: the state was not loaded")
	}
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return uierr.Wrap(err, fmt.Sprintf("%s of step %d: %v", stateName, c.Step, err),
			"the checkpoint was written by another version of flops")
	}
	return nil
}

// Retention says which checkpoints a save leaves.
type Retention struct {
	KeepLast  int  // the newest so many; 0: all
	KeepBest  bool // also the best
	KeepFirst bool // also the first, which a replay of the journal starts from
}

// Store is the checkpoints folder of one run. One process writes to it.
type Store struct {
	Disk   fsys.FS
	Run    string // the run folder
	Retain Retention
}

func (s *Store) root() string { return filepath.Join(s.Run, folder) }

func stepName(step int) string { return "step-" + strconv.Itoa(step) }

// Dir is the folder of a step's checkpoint.
func (s *Store) Dir(step int) string { return filepath.Join(s.root(), stepName(step)) }

// parseStep is the inverse of stepName.
func parseStep(name string) (int, bool) {
	n, err := strconv.Atoi(strings.TrimPrefix(name, "step-"))
	return n, err == nil && n >= 0 && name == stepName(n)
}

// Save writes a checkpoint and makes it the last one, and the best one if best
// says so. It is written to a new folder, each file synced, the folder renamed
// into its place and the name synced; then the pointers move, each whole, and
// what is not to be kept is removed. Stopped anywhere, it leaves the old
// checkpoint or the new one. Checkpoints of later steps belong to a run that
// was rolled back, and are removed.
func (s *Store) Save(c *Checkpoint, best bool) error {
	files, err := c.files()
	if err != nil {
		return err
	}
	final := s.Dir(c.Step)
	if err := s.restore(); err != nil {
		return fsys.WriteError(err, s.root())
	}
	if err := s.write(c.Step, files); err != nil {
		return fsys.WriteError(err, final)
	}
	if err := s.point(lastName, c.Step); err != nil {
		return err
	}
	if best {
		if err := s.point(bestName, c.Step); err != nil {
			return err
		}
	}
	return s.clean(c.Step)
}

func (s *Store) write(step int, files []fsys.Content) error {
	tmp, final, old := filepath.Join(s.root(), newPrefix+stepName(step)), s.Dir(step), s.aside(step)
	if err := s.Disk.RemoveAll(tmp); err != nil {
		return err
	}
	if err := s.Disk.MkdirAll(tmp); err != nil {
		return err
	}
	if err := writeFiles(s.Disk, tmp, files); err != nil {
		return errors.Join(err, s.Disk.RemoveAll(tmp)) // a full disk is less full then
	}
	if fsys.Exists(final) {
		// A folder cannot be renamed over another one: the old one steps
		// aside under a name where Load still finds it.
		if err := s.Disk.RemoveAll(old); err != nil {
			return err
		}
		if err := s.Disk.Rename(final, old); err != nil {
			return err
		}
	}
	if err := s.Disk.Rename(tmp, final); err != nil {
		return err
	}
	if err := s.Disk.SyncDir(s.root()); err != nil {
		return err
	}
	return s.Disk.SyncDir(s.Run) // the first save has made the folder itself
}

// restore gives a checkpoint its name back that an interrupted save had set
// aside.
func (s *Store) restore() error {
	steps, err := s.Steps()
	if err != nil {
		return err
	}
	for _, step := range steps {
		if old := s.aside(step); !fsys.Exists(s.Dir(step)) && fsys.Exists(old) {
			if err := s.Disk.Rename(old, s.Dir(step)); err != nil {
				return err
			}
		}
	}
	return nil
}

// aside is where a checkpoint stands while it is replaced.
func (s *Store) aside(step int) string { return filepath.Join(s.root(), oldPrefix+stepName(step)) }

// files are the files of the checkpoint, less the manifest.
func (c *Checkpoint) files() ([]fsys.Content, error) {
	if c.Step < 0 || c.Model == nil {
		return nil, fmt.Errorf("checkpoint: step %d without a model cannot be saved", c.Step)
	}
	files, err := c.Model.Files(safetensors.F32)
	if err != nil {
		return nil, err
	}
	state, err := jsonobj.Indented(stateFile{stateFormat, c.Step, c.State})
	if err != nil {
		return nil, fmt.Errorf("checkpoint: state of step %d: %w", c.Step, err)
	}
	// Every name and shape is tried here, before anything is written.
	if err := safetensors.Check(c.Optimizer, safetensors.F32); err != nil {
		return nil, fmt.Errorf("checkpoint: optimizer: %w", err)
	}
	optimizer := fsys.Content{Name: optimizerName,
		Write: func(w io.Writer) error { return safetensors.Write(w, c.Optimizer, safetensors.F32, nil) }}
	return append(files, optimizer, fsys.Bytes(stateName, state)), nil
}

// stateFile is the layout of state.json.
type stateFile struct {
	Format int `json:"format"`
	Step   int `json:"step"`
	State  any `json:"state"`
}

// point moves a pointer, a small text file with the name of a checkpoint: a
// symbolic link cannot be replaced everywhere.
func (s *Store) point(name string, step int) error {
	return fsys.WriteFile(s.Disk, filepath.Join(s.root(), name), []byte(stepName(step)+"\n"))
}

// pointer reads "last" or "best"; ok is false where there is none.
func (s *Store) pointer(name string) (step int, ok bool, err error) {
	path := filepath.Join(s.root(), name)
	raw, err := fsys.ReadSmall(path, 256)
	if errors.Is(err, os.ErrNotExist) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	step, ok = parseStep(strings.TrimSuffix(string(raw), "\n"))
	if !ok {
		return 0, false, uierr.New(fmt.Sprintf("%s: %q is not the name of a checkpoint", path, jsonobj.Clip(string(raw))),
			"write the name of one, such as step-100, into the file")
	}
	return step, true, nil
}

// Pointed is the folder that a path means: the checkpoint that a run's "last" or
// "best" names, else the path itself. A path to another file is an *uierr.Error.
func Pointed(path string) (string, error) {
	if st, err := os.Stat(path); err != nil || st.IsDir() {
		return path, nil // what is wrong with it is told by who reads it
	}
	path = filepath.Clean(path)
	root, name := filepath.Split(path)
	if name != lastName && name != bestName || filepath.Base(root) != folder {
		return "", uierr.New(path+": is a file, not a folder",
			"name a model's folder or a checkpoint, such as RUN/checkpoints/step-100")
	}
	step, ok, err := (&Store{Run: filepath.Dir(filepath.Clean(root))}).pointer(name)
	if err == nil && !ok {
		err = fmt.Errorf("%s: vanished", path)
	}
	return filepath.Join(root, stepName(step)), err
}

// Steps lists the steps that have a checkpoint, ascending, sound or not.
func (s *Store) Steps() ([]int, error) {
	names, err := os.ReadDir(s.root())
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	seen := map[int]bool{}
	for _, n := range names {
		if step, ok := parseStep(strings.TrimPrefix(n.Name(), oldPrefix)); ok && n.IsDir() {
			seen[step] = true
		}
	}
	var steps []int
	for step := range seen {
		steps = append(steps, step)
	}
	sort.Ints(steps)
	return steps, nil
}
