package data

import (
	"errors"
	"fmt"
	"image"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/imagefile"
	"github.com/flops-vit/flops/internal/uierr"
)

const (
	// MaxPixels is the largest image that is decoded, 67 million pixels.
	MaxPixels = imagefile.MaxPixels
	// MaxFileBytes is the largest image file that is read, 256 MiB.
	MaxFileBytes = 256 << 20
)

const (
	replaceHint = "replace or remove it"
	skipHint    = ", or set data.on_bad: skip"
)

// unreadable is the error of one image of a dataset: a *uierr.Error, unless the
// machine failed to read it.
func unreadable(path string, err error) error {
	if failed(err) {
		return fmt.Errorf("%s: %w", path, err)
	}
	return uierr.Wrap(err, fmt.Sprintf("%s: %s", path, reason(err)), advice(err)+skipHint)
}

// advice is the hint that an error brings, or one that fits it.
func advice(err error) string {
	u, ok := uierr.As(err)
	switch {
	case ok && u.Hint != "":
		return u.Hint
	case errors.Is(err, fs.ErrNotExist):
		return "check the path"
	case errors.Is(err, fs.ErrPermission):
		return "check its permissions"
	}
	return replaceHint
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

// ReadImage reads and decodes one image file that belongs to no dataset; cfg
// says how (data.exif). The error is a *uierr.Error that names the file.
func ReadImage(path string, cfg config.Data) (*Image, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, alone(err)
	}
	im, err := imagefile.Decode(data, decoding(cfg))
	if err != nil {
		return nil, alone(unreadable(path, err))
	}
	return (*Image)(im), nil
}

// alone takes the hint that only a dataset has from an error.
func alone(err error) error {
	u, ok := uierr.As(err)
	if !ok {
		return err
	}
	return uierr.Wrap(u.Err, u.What, strings.TrimSuffix(u.Hint, skipHint))
}

// RGBA returns a copy for the packages of the standard library.
func (m *Image) RGBA() *image.RGBA {
	out := image.NewRGBA(image.Rect(0, 0, m.Width, m.Height))
	for i := range m.Width * m.Height {
		copy(out.Pix[4*i:4*i+3], m.Pix[3*i:])
		out.Pix[4*i+3] = 255
	}
	return out
}

// decoding is how the images of a dataset are read.
func decoding(cfg config.Data) imagefile.Options {
	return imagefile.Options{KeepOrientation: cfg.EXIF == "ignore"}
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

// checkFile is imagefile.Check for a file on the disk.
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
	if err := imagefile.Check(head, size); err != nil {
		return unreadable(path, err)
	}
	return nil
}
