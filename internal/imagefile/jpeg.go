package imagefile

import (
	"bytes"
	"encoding/binary"
	"errors"

	"github.com/flops-vit/flops/internal/jpegrgb"
	"github.com/flops-vit/flops/internal/uierr"
)

var jpegCodec = codec{
	ext:   "jpg",
	names: []string{"jpg", "jpeg", "jpe", "jfif"},
	match: func(head []byte) bool { return bytes.HasPrefix(head, []byte("\xff\xd8\xff")) },
	claim: func(head []byte, _ int64) (claim, error) {
		w, h, err := jpegrgb.Config(head)
		return claim{w: w, h: h}, jpegError(err)
	},
	decode: func(data []byte) (*Image, error) {
		w, h, pix, err := jpegrgb.Decode(data)
		if err != nil {
			return nil, jpegError(err)
		}
		return &Image{w, h, pix}, nil
	},
	meta: jpegMeta,
}

// jpegError adds what to do about kinds of JPEG that are not read.
func jpegError(err error) error {
	if errors.Is(err, jpegrgb.ErrUnsupported) {
		return uierr.Wrap(err, err.Error(), "convert it to a baseline or progressive JPEG or to PNG")
	}
	return err
}

const (
	jpegSOS  = 0xda
	jpegAPP1 = 0xe1
)

// jpegSegments calls visit for the segments before the first scan, until it
// says stop. The last one may be cut.
func jpegSegments(data []byte, visit func(marker byte, body []byte) (stop bool)) {
	at := 2
	for {
		for at < len(data) && data[at] != 0xff { // what no segment claims is passed over
			at++
		}
		for at < len(data) && data[at] == 0xff {
			at++
		}
		if at+3 > len(data) {
			return
		}
		marker := data[at]
		at++
		if marker == 0 || marker == 1 || marker >= 0xd0 && marker <= 0xd8 { // no segments
			continue
		}
		end := min(at+max(int(binary.BigEndian.Uint16(data[at:])), 2), len(data))
		if visit(marker, data[at+2:end]) || marker == jpegSOS {
			return
		}
		at = end
	}
}

// jpegMeta joins the parts of EXIF, as PIL does; of XMP it takes the last.
func jpegMeta(data []byte) metadata {
	var m metadata
	jpegSegments(data, func(marker byte, body []byte) bool {
		if marker != jpegAPP1 {
			return false
		}
		if exif, ok := bytes.CutPrefix(body, []byte("Exif\x00\x00")); ok {
			m.exif = append(m.exif, exif...)
		}
		if xmp, ok := bytes.CutPrefix(body, []byte("http://ns.adobe.com/xap/1.0/\x00")); ok {
			m.xmp = xmp
		}
		return false
	})
	return m
}
