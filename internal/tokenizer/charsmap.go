package tokenizer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"unicode/utf8"
)

// charsmap replaces characters and short texts, such as those that NFKC makes
// others of: a double-array trie (Darts-clone) of what is replaced, whose values
// are places in the text of replacements, each ended by a zero.
type charsmap struct {
	units []uint32
	text  []byte
}

func parseCharsmap(raw []byte) (*charsmap, error) {
	if len(raw) < 4 {
		return nil, errors.New("precompiled_charsmap is cut")
	}
	size := binary.LittleEndian.Uint32(raw)
	raw = raw[4:]
	if uint64(size) > uint64(len(raw)) || size%4 != 0 || size == 0 {
		return nil, errors.New("precompiled_charsmap is cut")
	}
	c := &charsmap{units: make([]uint32, size/4), text: raw[size:]}
	for i := range c.units {
		c.units[i] = binary.LittleEndian.Uint32(raw[4*i:])
	}
	return c, nil
}

// longest is the replacement of the longest text that s begins with, and that
// text's length; 0: nothing is replaced.
func (c *charsmap) longest(s string) (to []byte, n int) {
	offset := func(u uint32) uint32 { return (u >> 10) << ((u & (1 << 9)) >> 6) }
	at := offset(c.units[0])
	for i := range len(s) {
		at ^= uint32(s[i])
		if uint64(at) >= uint64(len(c.units)) {
			break
		}
		u := c.units[at]
		if u&(1<<31|0xff) != uint32(s[i]) {
			break
		}
		at ^= offset(u)
		if u>>8&1 == 0 {
			continue
		}
		if uint64(at) >= uint64(len(c.units)) {
			break
		}
		if v := c.units[at] & (1<<31 - 1); uint64(v) < uint64(len(c.text)) {
			end := bytes.IndexByte(c.text[v:], 0)
			if end < 0 {
				end = len(c.text) - int(v)
			}
			to, n = c.text[v:int(v)+end], i+1
		}
	}
	return to, n
}

// replaced is what stands for the beginning of a text, and how much of it.
func (m *spModel) replaced(s string) (string, int) {
	longest := ""
	for _, u := range m.userPieces {
		if len(u) > len(longest) && strings.HasPrefix(s, u) {
			longest = u
		}
	}
	if longest != "" {
		return longest, len(longest)
	}
	if m.charsmap != nil {
		if to, n := m.charsmap.longest(s); n > 0 {
			return string(to), n
		}
	}
	r, n := utf8.DecodeRuneInString(s)
	return string(r), n
}

// normalise is Normalizer::Normalize of SentencePiece.
func (m *spModel) normalise(s string) string {
	if m.removeSpaces {
		for s != "" {
			to, n := m.replaced(s)
			if to != " " {
				break
			}
			s = s[n:]
		}
	}
	if s == "" {
		return ""
	}
	gap := " "
	if m.escapeSpaces {
		gap = mark
	}
	var b strings.Builder
	if m.dummyPrefix && !m.suffix {
		b.WriteString(gap)
	}
	after := m.removeSpaces // a space
	for s != "" {
		to, n := m.replaced(s)
		for after && strings.HasPrefix(to, " ") {
			to = to[1:]
		}
		if to != "" {
			b.WriteString(strings.ReplaceAll(to, " ", gap))
			after = strings.HasSuffix(to, " ")
		}
		s = s[n:]
		after = after && m.removeSpaces
	}
	out := b.String()
	if m.removeSpaces {
		for strings.HasSuffix(out, gap) {
			out = strings.TrimSuffix(out, gap)
		}
	}
	if m.dummyPrefix && m.suffix {
		out += gap
	}
	return out
}
