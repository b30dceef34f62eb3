package imagefile

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"encoding/hex"
	"image"
	"image/color"
	"image/png"
	"io"
)

const (
	pngMagic = "\x89PNG\r\n\x1a\n"
	// Inflate is the largest ratio that DEFLATE reaches (zlib's technical notes).
	Inflate = 1032
	// maxText bounds the text of one chunk of metadata, unpacked.
	maxText = 1 << 20
)

var pngCodec = codec{
	ext:   "png",
	names: []string{"png", "apng"},
	match: func(head []byte) bool { return bytes.HasPrefix(head, []byte(pngMagic)) },
	claim: func(head []byte, _ int64) (claim, error) {
		c, err := png.DecodeConfig(bytes.NewReader(head))
		if err != nil {
			return claim{}, err
		}
		return claim{c.Width, c.Height, (pngBytes(c) + Inflate - 1) / Inflate}, nil
	},
	decode: func(data []byte) (*Image, error) {
		im, err := png.Decode(bytes.NewReader(data))
		if err != nil {
			return nil, err
		}
		return fromImage(im), nil
	},
	meta: pngMeta,
}

// pngBytes is the least that the pixels of a PNG Inflate to.
func pngBytes(c image.Config) int64 {
	n := int64(c.Width) * int64(c.Height)
	switch c.ColorModel {
	case color.RGBAModel, color.NRGBAModel:
		return 3 * n
	case color.RGBA64Model, color.NRGBA64Model:
		return 6 * n
	case color.Gray16Model:
		return 2 * n
	}
	return n / 8 // gray and palettes may have one bit a pixel
}

// pngText is text of metadata, perhaps packed.
type pngText struct {
	packed bool
	text   []byte
}

// plain is the text; of damaged or overlong text it is what comes before.
func (t pngText) plain() []byte {
	if !t.packed {
		return t.text
	}
	r, err := zlib.NewReader(bytes.NewReader(t.text))
	if err != nil {
		return nil
	}
	out, _ := io.ReadAll(io.LimitReader(r, maxText)) // metadata only: a damaged end is as if it were absent
	return out
}

// pngMeta finds EXIF in its chunk, or as text in the way that ImageMagick once
// wrote it, and XMP. They may stand behind the pixels; of several the last
// counts, and that one alone is unpacked.
func pngMeta(data []byte) metadata {
	var m metadata
	var profile, xmp pngText
	for rest := data[min(len(pngMagic), len(data)):]; len(rest) >= 12; {
		n := int64(binary.BigEndian.Uint32(rest))
		if n+12 > int64(len(rest)) {
			break
		}
		name, body := string(rest[4:8]), rest[8:8+n]
		rest = rest[n+12:]
		key, text, _ := bytes.Cut(body, []byte{0})
		switch {
		case name == "eXIf":
			m.exif = body
		case name == "tEXt" && string(key) == "Raw profile type exif":
			profile = pngText{false, text}
		case name == "zTXt" && string(key) == "Raw profile type exif" && len(text) > 0:
			profile = pngText{true, text[1:]}
		case name == "iTXt" && string(key) == "XML:com.adobe.xmp" && len(text) > 2:
			xmp.packed = text[0] != 0
			_, text, _ = bytes.Cut(text[2:], []byte{0}) // the language
			_, xmp.text, _ = bytes.Cut(text, []byte{0}) // the translated key
		}
	}
	if m.xmp = xmp.plain(); m.exif == nil {
		m.exif = rawProfile(profile.plain())
	}
	return m
}

// rawProfile decodes "\nexif\n LENGTH\nHEX...".
func rawProfile(text []byte) []byte {
	lines := bytes.SplitN(text, []byte("\n"), 4)
	if len(lines) < 4 {
		return nil
	}
	digits := bytes.ReplaceAll(bytes.TrimSpace(lines[3]), []byte("\n"), nil)
	out := make([]byte, hex.DecodedLen(len(digits)))
	n, _ := hex.Decode(out, digits) // n bytes are right, whatever follows
	return out[:n]
}
