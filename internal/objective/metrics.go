package objective

import (
	"encoding/binary"
	"fmt"
	"math"
)

// ZeroShot is the share of images whose nearest text by cosine is that of their
// class. images is n×width, texts one row per class; of equal cosines the first
// class counts. Neither needs to be of unit length.
func ZeroShot(images, texts []float32, width int, labels []int32) (float64, error) {
	n, k, err := shapes(images, texts, width)
	if err != nil {
		return 0, err
	}
	if len(labels) != n {
		return 0, fmt.Errorf("objective: %d labels for %d images", len(labels), n)
	}
	right, sims := 0, make([]float32, k)
	for i := range n {
		cosines(sims, images[i*width:(i+1)*width], texts, width)
		if Argmax(sims) == int(labels[i]) {
			right++
		}
	}
	return float64(right) / float64(n), nil
}

// Recall is retrieval among n images and their n texts, in both directions: the
// share of queries with a right answer among the k nearest by cosine.
type Recall struct {
	K           []int
	ImageToText []float64 // per k: an image finds its text
	TextToImage []float64 // per k: a text finds an image of it
}

// RecallAt is recall at each of ks; row i of images belongs to row i of texts.
// Texts that are equal value by value are one text: an image looks for its text
// among the distinct ones, and any image of a text answers it. Wrong answers at
// exactly the cosine of the right one count as nearer, so that constant
// embeddings score 0.
func RecallAt(images, texts []float32, width int, ks ...int) (*Recall, error) {
	n, m, err := shapes(images, texts, width)
	if err != nil {
		return nil, err
	}
	if n != m {
		return nil, fmt.Errorf("objective: %d images and %d texts do not pair", n, m)
	}
	group, distinct := groups(texts, n, width)
	self := make([]int, len(distinct)/width)
	for i := range self {
		self[i] = i
	}
	return &Recall{K: ks,
		ImageToText: recall(images, group, distinct, self, width, ks),
		TextToImage: recall(texts, group, images, group, width, ks)}, nil
}

// groups numbers equal rows alike, in the order of their first appearance.
func groups(rows []float32, n, width int) (group []int, distinct []float32) {
	seen := map[string]int{}
	key := make([]byte, 0, 4*width)
	for i := range n {
		row := rows[i*width : (i+1)*width]
		key = key[:0]
		for _, v := range row {
			key = binary.LittleEndian.AppendUint32(key, math.Float32bits(v))
		}
		g, ok := seen[string(key)]
		if !ok {
			g = len(seen)
			seen[string(key)] = g
			distinct = append(distinct, row...)
		}
		group = append(group, g)
	}
	return group, distinct
}

// recall is the share of rows of from that have, among their k nearest rows of
// to, one of their own group.
func recall(from []float32, fromGroup []int, to []float32, toGroup []int, width int, ks []int) []float64 {
	out, sims := make([]float64, len(ks)), make([]float32, len(toGroup))
	for i, g := range fromGroup {
		cosines(sims, from[i*width:(i+1)*width], to, width)
		best := float32(-2)
		for j, s := range sims {
			if toGroup[j] == g {
				best = max(best, s)
			}
		}
		nearer := 0
		for j, s := range sims {
			if toGroup[j] != g && !(s < best) {
				nearer++
			}
		}
		for j, k := range ks {
			if nearer < k {
				out[j]++
			}
		}
	}
	for j := range out {
		out[j] /= float64(len(fromGroup))
	}
	return out
}

// cosines writes the cosine of e with each row of rows; that with a row of zero
// length is 0.
func cosines(out, e, rows []float32, width int) {
	le := max(norm(e), tiny)
	for k := range out {
		t := rows[k*width : (k+1)*width]
		var d float64
		for j, v := range t {
			d += float64(v) * float64(e[j])
		}
		out[k] = float32(d / le / max(norm(t), tiny))
	}
}

func shapes(images, texts []float32, width int) (n, k int, err error) {
	if width < 1 || len(images) == 0 || len(texts) == 0 || len(images)%width != 0 || len(texts)%width != 0 {
		return 0, 0, fmt.Errorf("objective: %d and %d values are no embeddings of width %d", len(images), len(texts), width)
	}
	return len(images) / width, len(texts) / width, nil
}
