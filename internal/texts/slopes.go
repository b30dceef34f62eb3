package texts

import "fmt"

// slopes is the objective Σ_j w_kj·t_kj of text k's embedding t: where the gradient
// w of a loss by the embeddings is known, its gradient by all that comes before them
// is that of the loss.
type slopes struct {
	w     []float32
	width int
}

// Name is "slopes".
func (s *slopes) Name() string { return "slopes" }

// Losses writes the product of each row with its text's slopes.
func (s *slopes) Losses(out, rows []float32, n, width int, labels []int32) error {
	if width != s.width {
		return fmt.Errorf("texts: slopes of width %d for embeddings of %d", s.width, width)
	}
	for r := range n {
		var sum float64
		w := s.w[int(labels[r])*width:]
		for j := range width {
			sum += float64(w[j]) * float64(rows[r*width+j])
		}
		out[r] = float32(sum)
	}
	return nil
}

// Grad writes the slopes of each row's text.
func (s *slopes) Grad(d, _ []float32, n, width int, labels []int32, scale float32) error {
	for r := range n {
		for j := range width {
			d[r*width+j] = scale * s.w[int(labels[r])*width+j]
		}
	}
	return nil
}
