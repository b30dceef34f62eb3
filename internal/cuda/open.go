package cuda

import "github.com/flops-vit/flops/internal/vit"

// Open puts a network on a device: "cuda" is the first, "cuda:N" the N-th. The
// error of a build without CUDA, of a machine without a device and of a device
// that does not exist is an *uierr.Error.
func Open(spec string, n *vit.Net, opt Options) (*Model, error) {
	d, err := openDriver(spec)
	if err != nil {
		return nil, err
	}
	m, err := NewModel(d, n, opt)
	if err != nil {
		d.Close() // the error of NewModel says more
		return nil, err
	}
	m.b.spec = spec
	return m, nil
}

// openDriver is OpenDriver but in tests, which have devices of their own.
var openDriver = OpenDriver
