package tokenizer

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"

	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/uierr"
)

// unigram is SigLIP's tokenizer: a canonical text (small letters, no ASCII
// punctuation, single spaces; big_vision's canonicalize_text), cut into the
// likeliest pieces of a SentencePiece model (Kudo 2018, arXiv 1804.10959).
type unigram struct {
	m        *spModel
	specials []special
	end, pad int32
	lower    bool
	lead     int // pieces of the unknown token, which transformers puts before a text and takes off again
	unk      string
}

var _ Tokenizer = (*unigram)(nil)

// maxSP bounds a SentencePiece model; SigLIP's has 0.8 MB.
const maxSP = 64 << 20

// LoadUnigram reads SigLIP's tokenizer of a model folder: spiece.model.
func LoadUnigram(dir string) (Tokenizer, error) {
	n := names{eos: "</s>", pad: "</s>", unk: "<unk>", lower: true, keep: true}
	if err := n.read(dir); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, SPName)
	raw, err := fsys.ReadSmall(path, maxSP)
	if err != nil {
		return nil, noPieces(dir, said(err, path))
	}
	m, err := parseSP(raw)
	if err != nil {
		return nil, said(err, path)
	}
	t := &unigram{m: m, lower: n.lower, unk: n.unk}
	if !n.keep {
		m.dummyPrefix = false
	}
	for _, s := range []struct {
		dst  *int32
		text string
	}{{&t.end, n.eos}, {&t.pad, n.pad}, {new(int32), n.unk}} {
		id, ok := m.ids[s.text]
		if !ok {
			return nil, said(fmt.Errorf("there is no piece %q", s.text), path)
		}
		*s.dst = id
		t.specials = append(t.specials, special{text: s.text, id: id, lstrip: true, rstrip: true})
	}
	for _, a := range n.added { // the config's word on white space counts
		for i := range t.specials {
			if t.specials[i].text == a.text {
				t.specials[i].lstrip, t.specials[i].rstrip = a.lstrip, a.rstrip
			}
		}
	}
	t.lead = len(m.encode(t.unk))
	return t, nil
}

// Size is above every id.
func (t *unigram) Size() int { return len(t.m.pieces) }

// End is the id of the end of text.
func (t *unigram) End() int32 { return t.end }

// Pieces are the ids of a text, without its end.
func (t *unigram) Pieces(text string) []int32 {
	text = mark + strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), mark, " ")
	var ids []int32
	first, afterSpecial := true, false
	var left special
	for {
		at, s := next(t.specials, text)
		part := text
		if at >= 0 {
			part = text[:at]
		}
		if afterSpecial && left.rstrip {
			part = strings.TrimLeftFunc(part, isPySpace)
		}
		if at >= 0 && s.lstrip {
			part = strings.TrimRightFunc(part, isPySpace)
		}
		if part != "" {
			ids = append(ids, t.part(part)...)
		}
		if at < 0 {
			return ids
		}
		if first && len(ids) == 1 && t.m.pieces[ids[0]].text == mark { // nothing but the mark before a special
			ids = ids[:0]
		}
		first, afterSpecial, left = false, true, s
		ids, text = append(ids, s.id), text[at+len(s.text):]
	}
}

// part are the pieces of a text between specials.
func (t *unigram) part(text string) []int32 {
	ids := t.m.encode(t.unk + t.canonical(text))
	if len(ids) < t.lead {
		return ids
	}
	return ids[t.lead:]
}

// canonical is the text that SigLIP was trained on.
func (t *unigram) canonical(text string) string {
	if t.lower {
		text = cases.Lower(language.Und).String(text)
	}
	var b strings.Builder
	gap := false
	for _, r := range text {
		switch {
		case r < 128 && strings.ContainsRune("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", r):
		case isPySpace(r):
			gap = true
		default:
			if gap && b.Len() > 0 {
				b.WriteByte(' ')
			}
			gap = false
			b.WriteRune(r)
		}
	}
	return b.String()
}

// isPySpace is white space as Python's str has it: Unicode's, and the four
// separators of ASCII.
func isPySpace(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f }

// Wrap is the pieces, the end, and padding.
func (t *unigram) Wrap(pieces []int32, context int) (ids []int32, cut bool) {
	if cut = len(pieces) > context-1; cut {
		pieces = pieces[:context-1]
	}
	ids = append(make([]int32, 0, context), pieces...)
	if n := len(ids); n == 0 || ids[n-1] != t.end {
		ids = append(ids, t.end)
	}
	for len(ids) < context {
		ids = append(ids, t.pad)
	}
	return ids, cut
}

// encode is the likeliest cut of a text into pieces (EncodeOptimized of
// SentencePiece's unigram model): scores are logarithms of probabilities, and a
// character that no piece begins with costs ten more than the rarest piece.
// Neighbours that are unknown are one.
func (m *spModel) encode(text string) []int32 {
	s := m.normalise(text)
	best := make([]step, len(s)+1)
	for i := range best {
		best[i].from = -1
	}
	for at := 0; at < len(s); {
		n := min(charLen(s[at]), len(s)-at)
		single := false
		m.prefixes(s[at:], func(id int32, length int) {
			score := m.pieces[id].score
			if m.pieces[id].kind == pieceUser {
				score = float32(float64(float32(length)*m.top) - 0.1)
			}
			best[at+length].take(score+best[at].score, at, id)
			single = single || length == n
		})
		if !single {
			best[at+n].take(m.bottom-10+best[at].score, at, m.unknown)
		}
		at += n
	}
	var ids []int32
	for end := len(s); end > 0; end = best[end].from {
		id := best[end].id
		if id == m.unknown && m.fallback {
			for i := end - 1; i >= best[end].from; i-- {
				ids = append(ids, m.bytes[s[i]])
			}
			continue
		}
		if n := len(ids); id == m.unknown && n > 0 && ids[n-1] == id {
			continue
		}
		ids = append(ids, id)
	}
	for i, j := 0, len(ids)-1; i < j; i, j = i+1, j-1 {
		ids[i], ids[j] = ids[j], ids[i]
	}
	return ids
}

// step is the best way to a place in a text.
type step struct {
	from  int // -1: none is known
	id    int32
	score float32
}

func (p *step) take(score float32, from int, id int32) {
	if p.from < 0 || score > p.score {
		*p = step{from, id, score}
	}
}

// prefixes calls use for every piece that a text begins with, shortest first.
func (m *spModel) prefixes(s string, use func(id int32, length int)) {
	for n := 1; n <= min(len(s), m.longest); n++ {
		if id, ok := m.usable[s[:n]]; ok {
			use(id, n)
		}
	}
}

// charLen is the length of the character that a byte begins, as SentencePiece
// counts it.
func charLen(b byte) int {
	return []int{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 3, 4}[b>>4]
}

// bounds are the best and the worst score of a usual piece.
func (m *spModel) bounds() {
	m.top, m.bottom = -math.MaxFloat32, math.MaxFloat32
	for _, p := range m.pieces {
		if p.kind == pieceNormal {
			m.top, m.bottom = max(m.top, p.score), min(m.bottom, p.score)
		}
	}
}

// noPieces says what a folder without spiece.model has instead.
func noPieces(dir string, err error) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, name := range []string{JSONName, "tokenizer.model"} {
		if _, no := os.Stat(filepath.Join(dir, name)); no == nil {
			return uierr.Wrap(err, fmt.Sprintf("%s: a tokenizer in %s alone, which is not read for this model", dir, name),
				"put the model's "+SPName+" beside it")
		}
	}
	return uierr.Wrap(err, fmt.Sprintf("%s: no tokenizer: no %s", dir, SPName),
		"texts need the tokenizer's files beside the weights; take them from where the model came from")
}
