package tokenizer

import (
	"container/heap"
	"strings"
)

// Byte pairs (Sennrich et al. 2016, arXiv 1508.07909) as CLIP has them: the words
// of a text are bytes, each with a printable stand-in, the last of a word with
// wordEnd, and the pair that was merged first in making the vocabulary is merged
// first here.
type bpe struct {
	ids        map[string]int32
	rank       map[[2]string]int32
	specials   []special
	start, end int32
	pad        int32
	unknown    int32
	size       int
}

// wordEnd follows the last byte of a word.
const wordEnd = "</w>"

var _ Tokenizer = (*bpe)(nil)

// Size is above every id.
func (t *bpe) Size() int { return t.size }

// End is the end of text's id.
func (t *bpe) End() int32 { return t.end }

// Pieces are the ids of the words, without those that begin and end a text.
func (t *bpe) Pieces(text string) []int32 {
	var ids []int32
	text = strings.ToValidUTF8(text, "\uFFFD")
	for text != "" {
		at, s := next(t.specials, text)
		part := text
		if at >= 0 {
			part = text[:at]
		}
		for _, w := range words(lowered(part)) {
			ids = t.word(ids, w)
		}
		if at < 0 {
			break
		}
		ids, text = append(ids, s.id), text[at+len(s.text):]
	}
	return ids
}

// Wrap is the start, the pieces, the end, and padding.
func (t *bpe) Wrap(pieces []int32, context int) (ids []int32, cut bool) {
	if cut = len(pieces) > context-2; cut {
		pieces = pieces[:context-2]
	}
	ids = append(append(append(make([]int32, 0, context), t.start), pieces...), t.end)
	for len(ids) < context {
		ids = append(ids, t.pad)
	}
	return ids, cut
}

// symbol is a piece of a word that is being merged, in a list.
type symbol struct {
	text       string // empty: merged into the one before
	prev, next int    // -1: none
}

// merge is a pair of neighbours that the vocabulary merges.
type merge struct {
	rank, at int32 // at: the left one
	whole    string
}

type merges []merge

func (m merges) Len() int { return len(m) }
func (m merges) Less(i, j int) bool {
	return m[i].rank < m[j].rank || m[i].rank == m[j].rank && m[i].at < m[j].at
}
func (m merges) Swap(i, j int) { m[i], m[j] = m[j], m[i] }
func (m *merges) Push(x any)   { *m = append(*m, x.(merge)) }
func (m *merges) Pop() any {
	l := len(*m) - 1
	x := (*m)[l]
	*m = (*m)[:l]
	return x
}

// word appends the ids of one word. What is merged into is found again by its
// text, so that a pair that has changed since is passed over.
func (t *bpe) word(ids []int32, w string) []int32 {
	s := make([]symbol, len(w))
	for i := range len(w) {
		s[i] = symbol{byteText[w[i]], i - 1, i + 1}
	}
	s[len(s)-1].text += wordEnd
	s[len(s)-1].next = -1
	var todo merges
	look := func(i int) {
		if i < 0 || s[i].next < 0 {
			return
		}
		if r, ok := t.rank[[2]string{s[i].text, s[s[i].next].text}]; ok {
			heap.Push(&todo, merge{r, int32(i), s[i].text + s[s[i].next].text})
		}
	}
	for i := range s {
		look(i)
	}
	for len(todo) > 0 {
		m := heap.Pop(&todo).(merge)
		l := &s[m.at]
		if l.text == "" || l.next < 0 || l.text+s[l.next].text != m.whole {
			continue
		}
		r := &s[l.next]
		if got, ok := t.rank[[2]string{l.text, r.text}]; !ok || got != m.rank {
			continue
		}
		l.text, l.next, r.text = m.whole, r.next, ""
		if l.next >= 0 {
			s[l.next].prev = int(m.at)
		}
		look(l.prev)
		look(int(m.at))
	}
	for i := 0; i >= 0; i = s[i].next {
		id, ok := t.ids[s[i].text]
		if !ok {
			id = t.unknown
		}
		ids = append(ids, id)
	}
	return ids
}

// byteText is the printable stand-in of each byte: itself where it is one, the
// others in their order from U+0100 on (Radford et al. 2019, GPT-2's encoder).
var byteText = func() (m [256]string) {
	n := 256
	for b := range 256 {
		if b >= '!' && b <= '~' || b >= 0xa1 && b <= 0xac || b >= 0xae {
			m[b] = string(rune(b))
			continue
		}
		m[b] = string(rune(n))
		n++
	}
	return m
}()
