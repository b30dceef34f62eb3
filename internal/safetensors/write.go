package safetensors

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"github.com/flops-vit/flops/internal/fsys"
)

// Kept is a tensor that is passed on as it is, in whatever format.
type Kept struct {
	Name  string
	DType DType
	Shape []int
	Bytes []byte
}

// Write writes tensors in the order given, converted to dtype (F32,
// F16 or BF16). The same input makes the same bytes.
func Write(w io.Writer, tensors []Tensor, dtype DType, meta map[string]string) error {
	return WriteKept(w, tensors, nil, dtype, meta)
}

// WriteKept is Write, with tensors after the others that are written as they are.
func WriteKept(w io.Writer, tensors []Tensor, kept []Kept, dtype DType, meta map[string]string) error {
	if !dtype.writable() {
		return fmt.Errorf("safetensors: tensors are written as F32, F16 or BF16, not %q", dtype)
	}
	head, err := encodeHeader(tensors, kept, dtype, meta)
	if err != nil {
		return fmt.Errorf("safetensors: %w", err)
	}
	if _, err := w.Write(head); err != nil {
		return err
	}
	var buf []byte
	if dtype != F32 || !littleEndian {
		buf = make([]byte, chunk)
	}
	for _, t := range tensors {
		if buf == nil {
			if _, err := w.Write(asBytes(t.Data)); err != nil {
				return err
			}
			continue
		}
		size := int(dtype.Size())
		for v := t.Data; len(v) > 0; {
			n := min(len(v), chunk/size)
			narrow(buf, v[:n], dtype)
			if _, err := w.Write(buf[:n*size]); err != nil {
				return err
			}
			v = v[n:]
		}
	}
	for _, t := range kept {
		if _, err := w.Write(t.Bytes); err != nil {
			return err
		}
	}
	return nil
}

// Check says why tensors could not be written, before anything is.
func Check(tensors []Tensor, dtype DType) error {
	_, err := encodeHeader(tensors, nil, dtype, nil)
	return err
}

// WriteFile writes a safetensors file whole or not at all: it is written beside
// path, synced and renamed.
func WriteFile(disk fsys.FS, path string, tensors []Tensor, dtype DType, meta map[string]string) error {
	return fsys.Write(disk, path, func(w io.Writer) error { return Write(w, tensors, dtype, meta) })
}

// narrow converts v into the first bytes of buf.
func narrow(buf []byte, v []float32, to DType) {
	le := binary.LittleEndian
	switch to {
	case F32:
		for j, x := range v {
			le.PutUint32(buf[4*j:], math.Float32bits(x))
		}
	case F16:
		for j, x := range v {
			le.PutUint16(buf[2*j:], F32ToF16(x))
		}
	case BF16:
		for j, x := range v {
			le.PutUint16(buf[2*j:], F32ToBF16(x))
		}
	}
}
