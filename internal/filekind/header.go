package filekind

import (
	"bytes"
	"encoding/binary"
)

// Kinds without a word of their own at the start: their headers are looked at.

// isIcon matches an icon or a cursor: a number of pictures that is not 0.
func isIcon(head []byte) bool {
	return len(head) >= 6 && begins("\x00\x00\x01\x00", "\x00\x00\x02\x00")(head) &&
		binary.LittleEndian.Uint16(head[4:]) > 0
}

// isPCX matches a version, run lengths and bits that PCX has.
func isPCX(head []byte) bool {
	return len(head) >= 4 && head[0] == 10 && head[1] <= 5 && head[2] == 1 &&
		bytes.IndexByte([]byte{1, 2, 4, 8}, head[3]) >= 0
}

// isTarga matches a kind of picture, a size and bits that Targa has, and an
// absent table of colours that is empty.
func isTarga(head []byte) bool {
	if len(head) < 18 || head[1] > 1 || bytes.IndexByte([]byte{1, 2, 3, 9, 10, 11}, head[2]) < 0 {
		return false
	}
	if head[1] == 0 && !bytes.Equal(head[3:8], make([]byte, 5)) {
		return false
	}
	w, h := binary.LittleEndian.Uint16(head[12:]), binary.LittleEndian.Uint16(head[14:])
	return w > 0 && h > 0 && bytes.IndexByte([]byte{8, 15, 16, 24, 32}, head[16]) >= 0 && head[17]&0xc0 == 0
}

// isTorch matches what torch.save writes: since 1.6 a ZIP archive whose first
// member is NAME/data.pkl, before that pickles of which the first is a number.
func isTorch(head []byte) bool {
	if begins("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19")(head) {
		return true
	}
	const name, length = 30, 26 // of a member's header
	if len(head) < name || !begins("PK\x03\x04")(head) {
		return false
	}
	n := int(binary.LittleEndian.Uint16(head[length:]))
	return len(head) >= name+n && bytes.HasSuffix(head[name:name+n], []byte("/data.pkl"))
}
