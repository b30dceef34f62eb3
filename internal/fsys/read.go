package fsys

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/flops-vit/flops/internal/filekind"
	"github.com/flops-vit/flops/internal/uierr"
)

// ReadSmall reads a file of at most max bytes. A larger one, and one that is plainly
// something else, is an *uierr.Error.
func ReadSmall(path string, max int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, max+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > max {
		return nil, uierr.New(fmt.Sprintf("%s: larger than %d MB", path, max>>20),
			"this is not the file that the name says; check the folder")
	}
	if err := filekind.Misplaced(b); err != nil {
		return nil, filekind.At(path, err)
	}
	return b, nil
}

// ReadError makes an absent or forbidden file the user's to mend; other errors stay
// as they are.
func ReadError(err error, path string) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return uierr.Wrap(err, path+": no such file or folder", "check the path")
	case errors.Is(err, fs.ErrPermission):
		return uierr.Wrap(err, path+": may not be read", "check its permissions")
	}
	return err
}

// Exists says whether there is something under a path.
func Exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
