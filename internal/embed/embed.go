// Package embed reads and writes embeddings: rows of numbers of one width, each
// with an id, made by this tool or elsewhere. Formats by the end of the file's
// name:
//
//	.safetensors  a tensor "embeddings" (N×D), with its ids as a JSON list of
//	              strings in the metadata key "ids"; or one tensor of D values
//	              per id, named by it
//	.npy          a NumPy array N×D (<f2, <f4 or <f8, C order); its ids, one per
//	              line, in a file beside it that is named FILE.ids.txt
//	.parquet      a column of ids (strings or integers) and one of lists of
//	              numbers; written as "id" and "embedding"
//
// A file without ids pairs by position: row k belongs to class k, or image k.
package embed

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/flops-vit/flops/internal/uierr"
)

// Set is embeddings in the order of their file.
type Set struct {
	Path  string    // where they come from, for messages
	IDs   []string  // one per row, all different; nil: rows pair by position
	Width int       // values of one embedding
	Data  []float32 // rows×Width
}

// Len is the number of embeddings.
func (s *Set) Len() int { return len(s.Data) / s.Width }

// Read reads a file of embeddings in the format that its name ends with. Every
// value is finite. Mistakes in the file are *uierr.Error.
func Read(path string) (*Set, error) {
	var s *Set
	var err error
	switch ext := strings.ToLower(filepath.Ext(path)); ext {
	case ".safetensors":
		s, err = readSafetensors(path)
	case ".npy":
		s, err = readNPYFile(path)
	case ".parquet":
		s, err = readParquet(path)
	default:
		return nil, uierr.New(fmt.Sprintf("%s: embeddings are not read from %q files", path, ext),
			"give a .safetensors, .npy or .parquet file")
	}
	if err != nil {
		return nil, err
	}
	s.Path = path
	return s, s.validate()
}

// writers are the formats that Write knows, by the end of a file's name.
var writers = map[string]func(string, *Set) error{".safetensors": writeSafetensors, ".npy": writeNPY,
	".parquet": writeParquet}

// CheckFormat refuses a file's name that says no format.
func CheckFormat(path string) error {
	ext := strings.ToLower(filepath.Ext(path))
	if writers[ext] == nil {
		return uierr.New(fmt.Sprintf("%s: embeddings are not written to %q files", path, ext),
			"name a .safetensors, .npy or .parquet file")
	}
	return nil
}

// Write writes embeddings in the format that the file's name ends with, whole or
// not at all.
func Write(path string, s *Set) error {
	if err := s.validate(); err != nil {
		return err
	}
	if err := CheckFormat(path); err != nil {
		return err
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return uierr.Wrap(err, fmt.Sprintf("%s: %v", path, err), "name a file in a folder that can be written")
	}
	return writers[strings.ToLower(filepath.Ext(path))](path, s)
}

func (s *Set) validate() error {
	switch {
	case s.Width < 1 || len(s.Data) == 0 || len(s.Data)%s.Width != 0:
		return s.bad("no embeddings in it", "every embedding needs at least one value, and the file at least one embedding")
	case s.IDs != nil && len(s.IDs) != s.Len():
		return s.bad(fmt.Sprintf("%d ids for %d embeddings", len(s.IDs), s.Len()), "give one id per embedding")
	}
	for i, v := range s.Data {
		if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
			return s.bad(fmt.Sprintf("embedding %s holds %v", s.name(i/s.Width), v), "repair or leave out this embedding")
		}
	}
	seen := make(map[string]bool, len(s.IDs))
	for _, id := range s.IDs {
		if seen[id] {
			return s.bad(fmt.Sprintf("two embeddings have the id %q", id), "give every embedding an id of its own")
		}
		seen[id] = true
	}
	return nil
}

// name is a row in words.
func (s *Set) name(i int) string {
	if s.IDs != nil {
		return fmt.Sprintf("%d (%q)", i, s.IDs[i])
	}
	return fmt.Sprint(i)
}

func (s *Set) bad(what, hint string) error { return uierr.New(s.Path+": "+what, hint) }

// CheckWidth refuses embeddings of another width than the model's.
func (s *Set) CheckWidth(want int) error {
	if s.Width == want {
		return nil
	}
	return s.bad(fmt.Sprintf("embeddings have width %d, the model's projection %d", s.Width, want),
		"make both the same width")
}

// maxNamed is how many missing ids a message names.
const maxNamed = 5

// Rows are the embeddings of ids, in their order, len(ids)×Width. Ids that the
// file lacks are an error that names them; more embeddings than ids are not.
// Without ids in the file, row k is that of ids[k], and the counts must agree.
func (s *Set) Rows(ids []string) ([]float32, error) {
	if s.IDs == nil {
		if len(ids) != s.Len() {
			return nil, s.bad(fmt.Sprintf("%d embeddings without ids for %d classes or images", s.Len(), len(ids)),
				"give one embedding for each, in their order, or a file with ids")
		}
		return s.Data, nil
	}
	at := make(map[string]int, len(s.IDs))
	for i, id := range s.IDs {
		at[id] = i
	}
	out := make([]float32, 0, len(ids)*s.Width)
	var missing []string
	lacking := 0
	for _, id := range ids {
		i, ok := at[id]
		if !ok {
			if lacking++; len(missing) < maxNamed {
				missing = append(missing, fmt.Sprintf("%q", id))
			}
			continue
		}
		out = append(out, s.Data[i*s.Width:(i+1)*s.Width]...)
	}
	if lacking > 0 {
		more := ""
		if lacking > len(missing) {
			more = fmt.Sprintf(" and %d more", lacking-len(missing))
		}
		return nil, s.bad(fmt.Sprintf("%d of %d ids have no embedding: %s%s", lacking, len(ids),
			strings.Join(missing, ", "), more),
			"the ids must be the names of the classes, or the ids of the images; add these")
	}
	return out, nil
}
