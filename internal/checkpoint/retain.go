package checkpoint

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/flops-vit/flops/internal/fsys"
)

// clean removes what the retention does not keep after a save at step now, and
// what interrupted saves left.
func (s *Store) clean(now int) error {
	steps, err := s.Steps()
	if err != nil {
		return err
	}
	for _, step := range s.surplus(steps, now) {
		// Renamed first: a removal that stops half way must not leave a
		// folder that looks like a checkpoint.
		gone := filepath.Join(s.root(), delPrefix+stepName(step))
		if err := s.Disk.RemoveAll(gone); err != nil {
			return fsys.WriteError(err, gone)
		}
		if err := s.Disk.Rename(s.Dir(step), gone); err != nil {
			return fsys.WriteError(err, gone)
		}
	}
	names, err := os.ReadDir(s.root())
	if err != nil {
		return err
	}
	for _, n := range names {
		if !isLeftover(n.Name()) {
			continue
		}
		path := filepath.Join(s.root(), n.Name())
		if err := s.Disk.RemoveAll(path); err != nil {
			return fsys.WriteError(err, path)
		}
	}
	return nil
}

// isLeftover: at the end of a save every step that counts stands under its own
// name, so all of these can go.
func isLeftover(name string) bool {
	for _, p := range []string{newPrefix, oldPrefix, delPrefix} {
		if rest, ok := strings.CutPrefix(name, p); ok {
			if _, ok = parseStep(rest); ok {
				return true
			}
		}
	}
	return false
}

// surplus picks the steps to be removed.
func (s *Store) surplus(steps []int, now int) []int {
	keep := map[int]bool{now: true}
	if s.Retain.KeepBest {
		// A pointer that cannot be read protects nothing; it is told of when
		// somebody asks for the best.
		if best, ok, err := s.pointer(bestName); err == nil && ok {
			keep[best] = true
		}
	}
	var upto, out []int
	for _, step := range steps {
		if step <= now {
			upto = append(upto, step)
		}
	}
	for i, step := range upto {
		if s.Retain.KeepLast == 0 || i >= len(upto)-s.Retain.KeepLast || i == 0 && s.Retain.KeepFirst {
			keep[step] = true
		}
	}
	for _, step := range steps {
		if !keep[step] {
			out = append(out, step)
		}
	}
	return out
}
