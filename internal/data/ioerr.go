package data

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"

	"github.com/flops-vit/flops/internal/uierr"
)

// mistakes are the errors of the operating system that come of what a user
// named; any other is a failure of the machine.
var mistakes = []error{os.ErrNotExist, os.ErrPermission, syscall.ENOTDIR, syscall.EISDIR, syscall.ELOOP,
	syscall.ENAMETOOLONG, syscall.EINVAL}

// failed says whether an error is a failure of the machine (a disk that does
// not answer, too many open files) and not a fault of the file.
func failed(err error) bool {
	var errno syscall.Errno
	return errors.As(err, &errno) && !slices.ContainsFunc(mistakes, func(m error) bool { return errors.Is(err, m) })
}

// unopened is the error of a folder, or of a file that is no image, which could
// not be opened.
func unopened(path string, err error) error {
	if failed(err) {
		return fmt.Errorf("%s: %w", path, err)
	}
	hint := "check the path"
	if errors.Is(err, os.ErrPermission) {
		hint = "let this user read it (folders need the right to enter, chmod u+rx), or give another path"
	}
	return uierr.Wrap(err, fmt.Sprintf("%s: %s", path, reason(err)), hint)
}
