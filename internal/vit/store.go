package vit

// store holds what the clean pass of a batch leaves behind for its suffixes and
// for the gradients: activations by name, each batch×rows×width. Its capacity
// is a number of images; it grows only when a larger batch comes.
type store struct {
	images  int
	tensors map[string]*stored
}

type stored struct {
	rows, width int
	data        []float32
}

// tensor is the memory of an activation, made when it is first asked for.
func (s *store) tensor(name string, rows, width int) []float32 {
	t, ok := s.tensors[name]
	if !ok {
		t = &stored{rows: rows, width: width, data: make([]float32, s.images*rows*width)}
		s.tensors[name] = t
	}
	return t.data
}

// image is one image's activation.
func (s *store) image(name string, i int) []float32 {
	t := s.tensors[name]
	n := t.rows * t.width
	return t.data[i*n : (i+1)*n]
}
