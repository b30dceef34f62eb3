package embed

import (
	"encoding/json"
	"fmt"

	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/safetensors"
)

// tensorName and idsKey are what Write uses and Read prefers.
const (
	tensorName = "embeddings"
	idsKey     = "ids"
)

func readSafetensors(path string) (*Set, error) {
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	s := &Set{Path: path}
	infos := f.Tensors()
	info, ok := f.Info(tensorName)
	if !ok && len(infos) == 1 && len(infos[0].Shape) == 2 {
		info, ok = infos[0], true
	}
	if !ok {
		return perID(f, s)
	}
	if len(info.Shape) != 2 {
		return nil, s.bad(fmt.Sprintf("tensor %s has shape %v", info.Name, info.Shape), "embeddings are N×D: one row each")
	}
	t, err := f.Read(info.Name)
	if err != nil {
		return nil, err
	}
	s.Width, s.Data = info.Shape[1], t.Data
	if ids, ok := f.Metadata()[idsKey]; ok {
		if err := json.Unmarshal([]byte(ids), &s.IDs); err != nil {
			return nil, s.bad(fmt.Sprintf("metadata %q is not a JSON list of strings: %v", idsKey, err),
				`write it as ["cat", "dog"]`)
		}
	}
	return s, nil
}

// perID reads a file with one tensor per embedding.
func perID(f *safetensors.File, s *Set) (*Set, error) {
	for _, info := range f.Tensors() {
		if len(info.Shape) != 1 {
			return nil, s.bad(fmt.Sprintf("tensor %s has shape %v and none is named %q", info.Name, info.Shape, tensorName),
				"give one tensor embeddings of N×D, or one tensor of D values per id")
		}
		if s.Width == 0 {
			s.Width = info.Shape[0]
		}
		if info.Shape[0] != s.Width {
			return nil, s.bad(fmt.Sprintf("embedding %q has width %d, others %d", info.Name, info.Shape[0], s.Width),
				"make all the same width")
		}
		t, err := f.Read(info.Name)
		if err != nil {
			return nil, err
		}
		s.IDs, s.Data = append(s.IDs, info.Name), append(s.Data, t.Data...)
	}
	return s, nil
}

func writeSafetensors(path string, s *Set) error {
	var meta map[string]string
	if s.IDs != nil {
		ids, err := json.Marshal(s.IDs)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		meta = map[string]string{idsKey: string(ids)}
	}
	t := safetensors.Tensor{Name: tensorName, Shape: []int{s.Len(), s.Width}, Data: s.Data}
	return safetensors.WriteFile(fsys.OS, path, []safetensors.Tensor{t}, safetensors.F32, meta)
}
