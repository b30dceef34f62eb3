package imagefile

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/flops-vit/flops/internal/filekind"
	"github.com/flops-vit/flops/internal/jpegrgb"
)

// MaxPixels is the largest picture that is decoded, 67 million pixels.
const MaxPixels = jpegrgb.MaxPixels

// Image is 8-bit RGB, row by row, three bytes a pixel.
type Image struct {
	Width, Height int
	Pix           []uint8 // 3·Width·Height
}

// Options say how a picture is read.
type Options struct {
	// KeepOrientation leaves a picture as it is stored, whatever orientation
	// its metadata states.
	KeepOrientation bool
}

// codec is one entry of the registry.
type codec struct {
	ext   string   // "jpg": what files of this kind are called here
	names []string // what their names may end with, in lower case
	match func(head []byte) bool
	// claim reads the header of a file of size bytes, of which head are the
	// first. The error io.ErrUnexpectedEOF says that the header is longer.
	claim  func(head []byte, size int64) (claim, error)
	decode func(data []byte) (*Image, error)
	// meta finds the metadata that may state an orientation; nil: there is none.
	meta func(data []byte) metadata
}

// claim is what a header promises.
type claim struct {
	w, h  int
	least int64 // fewest bytes of a file that can hold the pixels, 0: any
}

var codecs = []codec{jpegCodec, pngCodec, webpCodec, gifCodec, bmpCodec, tiffCodec}

// find is the codec of a file, nil for anything that is not read.
func find(head []byte) *codec {
	for i := range codecs {
		if codecs[i].match(head) {
			return &codecs[i]
		}
	}
	return nil
}

// Ext is the kind of a picture by a file's first bytes: jpg, png, webp, gif,
// bmp or tif; "" for anything that is not read.
func Ext(head []byte) string {
	if c := find(head); c != nil {
		return c.ext
	}
	return ""
}

// HasName says whether a file's name ends as those of pictures do that are
// read, in capitals or not.
func HasName(name string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc(codecs, func(c codec) bool {
		return slices.ContainsFunc(c.names, func(ext string) bool { return strings.HasSuffix(name, "."+ext) })
	})
}

// Check looks at the first bytes of a file of size bytes without decoding it,
// and refuses what no decoder should be shown. A header that is longer than
// head is left to Decode.
func Check(head []byte, size int64) error {
	if size == 0 {
		return errors.New("the file is empty")
	}
	c := find(head)
	if c == nil {
		if err := filekind.Of(head); err != nil {
			return err
		}
		return errors.New("neither JPEG nor PNG, WebP, GIF, BMP or TIFF")
	}
	k, err := c.claim(head, size)
	if errors.Is(err, io.ErrUnexpectedEOF) && int64(len(head)) < size {
		return nil
	}
	if err != nil {
		return err
	}
	if k.w < 1 || k.h < 1 || int64(k.w)*int64(k.h) > MaxPixels {
		return fmt.Errorf("%d×%d pixels, the limit is %d", k.w, k.h, MaxPixels)
	}
	if size < k.least {
		return fmt.Errorf("%d bytes cannot hold the %d×%d pixels that its header claims", size, k.w, k.h)
	}
	return nil
}

// Decode decodes a picture file to 8-bit RGB. One above MaxPixels, or larger
// than its bytes can hold, is refused before room is made for it.
func Decode(data []byte, o Options) (im *Image, err error) {
	if err := Check(data, int64(len(data))); err != nil {
		return nil, err
	}
	defer func() { // a decoder that trips over damaged data
		if r := recover(); r != nil {
			im, err = nil, fmt.Errorf("damaged data (%v)", r)
		}
	}()
	c := find(data)
	im, err = c.decode(data)
	if err != nil || o.KeepOrientation || c.meta == nil {
		return im, err
	}
	return turn(im, c.meta(data).orientation()), nil
}
