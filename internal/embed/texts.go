package embed

import (
	"fmt"
	"hash/fnv"
	"math"
	"slices"

	"github.com/flops-vit/flops/internal/data"
	"github.com/flops-vit/flops/internal/uierr"
	"github.com/flops-vit/flops/noise"
)

// Captions is the words that describe the images of datasets, as ones among
// zeros in the order of the vocabulary, under data.Info.ID. It stands in for
// the output of a text encoder where images come with words (data.Attributed).
func Captions(sets ...data.Dataset) (*Set, error) {
	s := &Set{}
	for _, ds := range sets {
		words := data.Vocabulary(ds)
		if words == nil {
			return nil, uierr.New("data: these images come without words",
				"compute embeddings of their captions elsewhere; data.kind: shapes has words")
		}
		s.Width = len(words)
		for i := range ds.Len() {
			s.IDs = append(s.IDs, ds.Info(i).ID)
			s.Data = append(s.Data, data.AttributeVector(ds, i)...)
		}
	}
	return s, nil
}

// maxText bounds the width of OfClasses, before anything is allocated.
const maxText = 1 << 16

// textStream keeps the draws of OfClasses apart from those of the shapes.
const textStream = 2

// OfClasses is one fixed unit vector of a width for each name, orthogonal to
// the others: Gaussians of (seed, name), made orthonormal by Gram-Schmidt in
// the order of the alphabet. It stands in for the output of a text encoder
// whose classes have nothing to do with each other; the set of names and the
// seed decide it, not the order of names.
func OfClasses(names []string, width int, seed uint64) (*Set, error) {
	if width < len(names) || width > maxText || len(names) == 0 {
		return nil, uierr.New(fmt.Sprintf("%d classes have no orthogonal embeddings of width %d", len(names), width),
			fmt.Sprintf("give a width from the number of classes to %d", maxText))
	}
	sorted := slices.Sorted(slices.Values(names))
	if len(slices.Compact(slices.Clone(sorted))) < len(names) {
		return nil, uierr.New("a class is named twice", "name each class once")
	}
	rows := map[string][]float64{}
	var done [][]float64
	for _, n := range sorted {
		h := fnv.New32a()
		h.Write([]byte(n))
		g := noise.Rand(seed, noise.Data, h.Sum32(), textStream)
		v := make([]float64, width)
		for i := range v {
			v[i] = g.Normal()
		}
		for range 2 { // twice is enough (Parlett 1998, section 6.9)
			for _, u := range done {
				d := dot(u, v)
				for i := range v {
					v[i] -= d * u[i]
				}
			}
		}
		f := 1 / math.Sqrt(dot(v, v))
		for i := range v {
			v[i] *= f
		}
		done, rows[n] = append(done, v), v
	}
	s := &Set{IDs: slices.Clone(names), Width: width}
	for _, n := range names {
		for _, v := range rows[n] {
			s.Data = append(s.Data, float32(v))
		}
	}
	return s, nil
}

func dot(a, b []float64) float64 {
	var s float64
	for i, v := range a {
		s += v * b[i]
	}
	return s
}
