// Package tokenizer turns texts into the numbers that text towers take: CLIP's
// byte pairs and SigLIP's pieces, as the files of a model folder say and as
// transformers does, character for character.
package tokenizer

// Tokenizer turns texts into ids. Its methods may be called from several
// goroutines at once.
type Tokenizer interface {
	// Pieces are the ids of a text alone, of any length.
	Pieces(text string) []int32
	// Wrap puts what begins and ends a text around pieces and makes the whole
	// context ids long: cut, which it then says, or padded. It needs a context of
	// two or more.
	Wrap(pieces []int32, context int) (ids []int32, cut bool)
	// Size is above every id.
	Size() int
	// End is the id that ends a text.
	End() int32
}

// Encode is what a text tower takes of a text.
func Encode(t Tokenizer, text string, context int) (ids []int32, cut bool) {
	return t.Wrap(t.Pieces(text), context)
}

// maxPieces bounds a vocabulary; the largest known of a text tower has 256,000.
const maxPieces = 1 << 20

// special is a token that stands in a text as it is written, before anything
// else is done to the text.
type special struct {
	text           string
	id             int32
	lstrip, rstrip bool // white space beside it belongs to it
}

// next is the first special in a text, the longest of those that begin there: its
// place, or -1.
func next(specials []special, text string) (at int, s special) {
	at = -1
	for _, c := range specials {
		i := index(text, c.text)
		if i < 0 || at >= 0 && (i > at || i == at && len(c.text) <= len(s.text)) {
			continue
		}
		at, s = i, c
	}
	return at, s
}
