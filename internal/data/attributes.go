package data

import "slices"

// Attributed is a dataset whose images come with words that describe them.
type Attributed interface {
	// Words is the vocabulary, in a fixed order.
	Words() []string
	// Attributes are the words of image i, in the order of Words.
	Attributes(i int) []string
}

// Attributes returns the words that describe image i of ds; nil where the
// dataset has none.
func Attributes(ds Dataset, i int) []string {
	if s, ok := ds.(*subset); ok {
		ds, i = s.source, s.index[i]
	}
	if a, ok := ds.(Attributed); ok {
		return a.Attributes(i)
	}
	return nil
}

// AttributeVector returns the words of image i as ones among zeros, in the
// order of Vocabulary; nil where the dataset has none.
func AttributeVector(ds Dataset, i int) []float32 {
	words := Vocabulary(ds)
	if words == nil {
		return nil
	}
	v := make([]float32, len(words))
	for _, w := range Attributes(ds, i) {
		v[slices.Index(words, w)] = 1
	}
	return v
}

// Vocabulary returns the words that Attributes draws from; nil where the
// dataset has none.
func Vocabulary(ds Dataset) []string {
	if s, ok := ds.(*subset); ok {
		ds = s.source
	}
	if a, ok := ds.(Attributed); ok {
		return a.Words()
	}
	return nil
}
