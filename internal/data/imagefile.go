package data

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"os"

	"github.com/flops-vit/flops/internal/jpegrgb"
	"github.com/flops-vit/flops/internal/uierr"
)

const (
	// MaxPixels is the largest image that is decoded, 67 million pixels.
	MaxPixels = jpegrgb.MaxPixels
	// MaxFileBytes is the largest image file that is read, 256 MiB.
	MaxFileBytes = 256 << 20
)

// inflate is the largest ratio that DEFLATE reaches (zlib's technical notes).
const inflate = 1032

const (
	badHint     = "replace or remove it, or set data.on_bad: skip"
	convertHint = "convert it to a baseline or progressive JPEG or to PNG, or set data.on_bad: skip"
)

// unreadable is the error of one image.
func unreadable(path string, err error) error {
	hint := badHint
	if errors.Is(err, jpegrgb.ErrUnsupported) {
		hint = convertHint
	}
	return uierr.Wrap(err, fmt.Sprintf("%s: %s", path, reason(err)), hint)
}

// reason is an error without the names of the packages and files it passed.
func reason(err error) string {
	var user *uierr.Error
	if errors.As(err, &user) && user.Err != nil {
		return reason(user.Err)
	}
	var pe *os.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return "the file ends before its image does"
	}
	return err.Error()
}

// format is "jpg" or "png" by a file's first bytes, "" for anything else.
func format(head []byte) string {
	switch {
	case bytes.HasPrefix(head, []byte("\xff\xd8\xff")):
		return "jpg"
	case bytes.HasPrefix(head, []byte("\x89PNG\r\n\x1a\n")):
		return "png"
	}
	return ""
}

// header checks what the first bytes of an image file claim. size is that of
// the whole file; head may be shorter.
func header(head []byte, size int64) error {
	var c image.Config
	var err error
	switch format(head) {
	case "jpg":
		c.Width, c.Height, err = jpegrgb.Config(head)
		if errors.Is(err, io.ErrUnexpectedEOF) && int64(len(head)) < size {
			return nil // metadata longer than the head: the decoder will say
		}
	case "png":
		c, err = png.DecodeConfig(bytes.NewReader(head))
	default:
		if size == 0 {
			return errors.New("the file is empty")
		}
		return errors.New("neither JPEG nor PNG")
	}
	if err != nil {
		return err
	}
	if c.Width < 1 || c.Height < 1 || int64(c.Width)*int64(c.Height) > MaxPixels {
		return fmt.Errorf("%d×%d pixels, the limit is %d", c.Width, c.Height, MaxPixels)
	}
	if format(head) == "png" && pngBytes(c) > inflate*size {
		return fmt.Errorf("%d bytes cannot hold the %d×%d pixels that its header claims", size, c.Width, c.Height)
	}
	return nil
}

// pngBytes is the least that the pixels of a PNG inflate to.
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

// DecodeImage decodes a JPEG or PNG file to 8-bit RGB: JPEG as libjpeg does
// (internal/jpegrgb), PNG with its transparency dropped, 16 bits cut to 8. An
// image above MaxPixels, or one larger than its bytes can hold, is refused
// before room is made for it.
func DecodeImage(data []byte) (*Image, error) {
	if err := header(data, int64(len(data))); err != nil {
		return nil, err
	}
	if format(data) == "jpg" {
		w, h, pix, err := jpegrgb.Decode(data)
		if err != nil {
			return nil, err
		}
		return &Image{w, h, pix}, nil
	}
	im, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return FromImage(im), nil
}

// FromImage copies any image, dropping its transparency.
func FromImage(im image.Image) *Image {
	b := im.Bounds()
	out := &Image{b.Dx(), b.Dy(), make([]uint8, 3*b.Dx()*b.Dy())}
	at := 0
	switch s := im.(type) {
	case *image.RGBA: // from PNG: opaque
		at = out.rows(s.Pix, s.Stride, 4)
	case *image.NRGBA:
		at = out.rows(s.Pix, s.Stride, 4)
	case *image.Gray:
		for y := range out.H {
			for _, v := range s.Pix[y*s.Stride : y*s.Stride+out.W] {
				out.Pix[at], out.Pix[at+1], out.Pix[at+2] = v, v, v
				at += 3
			}
		}
	}
	if at > 0 {
		return out
	}
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			c := color.NRGBAModel.Convert(im.At(x, y)).(color.NRGBA)
			out.Pix[at], out.Pix[at+1], out.Pix[at+2] = c.R, c.G, c.B
			at += 3
		}
	}
	return out
}

// rows copies the first three of every step bytes.
func (m *Image) rows(pix []uint8, stride, step int) int {
	at := 0
	for y := range m.H {
		row := pix[y*stride : y*stride+step*m.W]
		for x := 0; x < len(row); x += step {
			copy(m.Pix[at:at+3], row[x:])
			at += 3
		}
	}
	return at
}

// RGBA returns a copy for the packages of the standard library.
func (m *Image) RGBA() *image.RGBA {
	out := image.NewRGBA(image.Rect(0, 0, m.W, m.H))
	for i := range m.W * m.H {
		copy(out.Pix[4*i:4*i+3], m.Pix[3*i:])
		out.Pix[4*i+3] = 255
	}
	return out
}

// ReadImage reads and decodes one image file. The error is a *uierr.Error that
// names it.
func ReadImage(path string) (*Image, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	im, err := DecodeImage(data)
	if err != nil {
		return nil, unreadable(path, err)
	}
	return im, nil
}

// readFile reads a regular file of at most MaxFileBytes.
func readFile(path string) ([]byte, error) {
	f, size, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data := make([]byte, size)
	if _, err := io.ReadFull(f, data); err != nil {
		return nil, unreadable(path, err)
	}
	return data, nil
}

func openRegular(path string) (*os.File, int64, error) {
	st, err := os.Stat(path) // before Open, which would wait for the other end of a pipe
	if err != nil {
		return nil, 0, unreadable(path, err)
	}
	if !st.Mode().IsRegular() {
		return nil, 0, unreadable(path, errors.New("not a regular file"))
	}
	if st.Size() > MaxFileBytes {
		return nil, 0, unreadable(path, fmt.Errorf("%d bytes, the limit for an image is %d", st.Size(), MaxFileBytes))
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, unreadable(path, err)
	}
	return f, st.Size(), nil
}

// checkFile is header for a file on the disk.
func checkFile(path string) error {
	f, size, err := openRegular(path)
	if err != nil {
		return err
	}
	defer f.Close()
	head := make([]byte, min(size, 4096))
	if _, err := io.ReadFull(f, head); err != nil {
		return unreadable(path, err)
	}
	if err := header(head, size); err != nil {
		return unreadable(path, err)
	}
	return nil
}
