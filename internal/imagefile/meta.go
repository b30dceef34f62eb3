package imagefile

import (
	"bytes"
	"regexp"
)

// metadata is what a file says of its picture beside the pixels.
type metadata struct {
	exif []byte // a TIFF stream, behind up to two "Exif\0\0"
	xmp  []byte
}

var xmpOrientation = regexp.MustCompile(`tiff:Orientation(?:="|>)([0-9])`)

// orientation is the EXIF orientation of 1 to 8: how the picture has to be
// turned to stand upright (turn). XMP counts where EXIF has none. What cannot
// be read, or is none of the eight, is 1.
func (m metadata) orientation() int {
	exif := m.exif
	for range 2 {
		exif = bytes.TrimPrefix(exif, []byte("Exif\x00\x00"))
	}
	n := 1
	if v := readDirectory(exif).values(tagOrientation); len(v) > 0 {
		n = int(v[0])
	} else if found := xmpOrientation.FindSubmatch(m.xmp); found != nil {
		n = int(found[1][0] - '0')
	}
	if n < 1 || n > 8 {
		return 1
	}
	return n
}
