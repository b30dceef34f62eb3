package embed

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"strings"

	"github.com/flops-vit/flops/internal/filekind"
	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/safetensors"
	"github.com/flops-vit/flops/internal/uierr"
)

// The NPY format (numpy.lib.format, versions 1.0 to 3.0): the magic, two bytes
// of version, the header's length (16 bits in version 1, else 32), the header
// as a Python dict, the values.
const (
	npyMagic  = "\x93NUMPY"
	maxHeader = 1 << 16 // NumPy itself writes a few hundred bytes
	idsSuffix = ".ids.txt"
)

func readNPYFile(path string) (*Set, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, unreadable(err, path)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, uierr.New(path+": not a file", "give the path of a .npy file")
	}
	if err := filekind.MisplacedIn(f); err != nil {
		return nil, filekind.At(path, err)
	}
	s, err := readNPY(f, st.Size())
	if err != nil {
		return nil, uierr.Wrap(err, fmt.Sprintf("%s: %v", path, err),
			"write it with numpy.save as a C-ordered array N×D of float16, float32 or float64")
	}
	s.Path = path
	ids, err := os.ReadFile(path + idsSuffix)
	switch {
	case err == nil:
		s.IDs = strings.Split(strings.TrimRight(strings.ReplaceAll(string(ids), "\r\n", "\n"), "\n"), "\n")
	case !errors.Is(err, fs.ErrNotExist):
		return nil, unreadable(err, path+idsSuffix)
	}
	return s, nil
}

func unreadable(err error, path string) error {
	if errors.Is(err, fs.ErrNotExist) {
		return uierr.Wrap(err, path+": no such file", "check the path")
	}
	return fmt.Errorf("embeddings: %w", err)
}

// readNPY reads an array of size bytes. Nothing is allocated on the word of a
// header that the size does not bear out.
func readNPY(r io.Reader, size int64) (*Set, error) {
	var start [12]byte
	n, err := io.ReadFull(r, start[:10])
	if err != nil || string(start[:6]) != npyMagic {
		return nil, errors.New("not a NumPy array")
	}
	length := int64(binary.LittleEndian.Uint16(start[8:]))
	switch start[6] {
	case 1:
	case 2, 3:
		if _, err := io.ReadFull(r, start[10:]); err != nil {
			return nil, errors.New("the file ends in its header")
		}
		n, length = 12, int64(binary.LittleEndian.Uint32(start[8:]))
	default:
		return nil, fmt.Errorf("format version %d is not known", start[6])
	}
	if length > maxHeader || int64(n)+length > size {
		return nil, fmt.Errorf("a header of %d bytes in a file of %d", length, size)
	}
	head := make([]byte, length)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, fmt.Errorf("read the header: %w", err)
	}
	h, err := parseNPYHeader(string(head))
	if err != nil {
		return nil, err
	}
	rest := size - int64(n) - length
	if h.rows < 1 || h.width < 1 || h.rows > rest/h.item/h.width || h.rows*h.width*h.item != rest {
		return nil, fmt.Errorf("an array of %d×%d values of %d bytes in %d bytes", h.rows, h.width, h.item, rest)
	}
	raw := make([]byte, rest)
	if _, err := io.ReadFull(r, raw); err != nil {
		return nil, fmt.Errorf("read the values: %w", err)
	}
	s := &Set{Width: int(h.width), Data: make([]float32, h.rows*h.width)}
	for i := range s.Data {
		switch h.item {
		case 2:
			s.Data[i] = safetensors.F16ToF32(binary.LittleEndian.Uint16(raw[2*i:]))
		case 4:
			s.Data[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
		case 8:
			s.Data[i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(raw[8*i:])))
		}
	}
	return s, nil
}

func writeNPY(path string, s *Set) error {
	head := fmt.Sprintf("{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }", s.Len(), s.Width)
	// The values start at a multiple of 64, the header ends with a newline.
	pad := (64 - (len(npyMagic)+4+len(head)+1)%64) % 64
	head += strings.Repeat(" ", pad) + "\n"
	b := append([]byte(npyMagic), 1, 0)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(head)))
	b = append(b, head...)
	for _, v := range s.Data {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	if s.IDs != nil {
		for _, id := range s.IDs {
			if strings.ContainsAny(id, "\r\n") {
				return uierr.New(fmt.Sprintf("%s: the id %q has a line break", path, id), "write a .safetensors file")
			}
		}
		if err := fsys.WriteFile(fsys.OS, path+idsSuffix, []byte(strings.Join(s.IDs, "\n")+"\n")); err != nil {
			return err
		}
	}
	return fsys.WriteFile(fsys.OS, path, b)
}
