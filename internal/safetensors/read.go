package safetensors

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/flops-vit/flops/internal/filekind"
	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/uierr"
)

// Tensor is a named array in row-major order.
type Tensor struct {
	Name  string
	Shape []int
	Data  []float32
}

// File is an open safetensors file whose header has been checked. Its methods
// may be called from several goroutines.
type File struct {
	path string
	f    *os.File
	h    *header
	at   map[string]int
}

// Open opens a safetensors file and checks its whole header against its size:
// lengths, formats, shapes and offsets are consistent, names stand once, and
// the tensors tile the data. A file that fails is an *uierr.Error.
func Open(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fsys.ReadError(err, path)
	}
	st, err := f.Stat()
	var h *header
	switch {
	case err == nil && !st.Mode().IsRegular():
		err = uierr.New(path+": not a file", "give the path of a safetensors file")
	case err == nil:
		if err = filekind.MisplacedIn(f); err != nil {
			err = filekind.At(path, err)
		} else if h, err = parseHeader(f, st.Size()); err != nil {
			err = uierr.Wrap(err, fmt.Sprintf("%s: not a sound safetensors file: %v", path, err),
				"the file is damaged, cut short or something else; get it again")
		}
	}
	if err != nil {
		_ = f.Close() // opened for reading: nothing can be lost
		return nil, err
	}
	t := &File{path: path, f: f, h: h, at: make(map[string]int, len(h.tensors))}
	for i, x := range h.tensors {
		t.at[x.Name] = i
	}
	return t, nil
}

// Close closes the file.
func (f *File) Close() error { return f.f.Close() }

// Tensors lists the tensors in the order of their data; it is not to be changed.
func (f *File) Tensors() []Info { return f.h.tensors }

// Metadata is the free text of the header, by key; nil when there is none.
func (f *File) Metadata() map[string]string { return f.h.meta }

// Info finds a tensor by name.
func (f *File) Info(name string) (Info, bool) {
	i, ok := f.at[name]
	if !ok {
		return Info{}, false
	}
	return f.h.tensors[i], true
}

// Read reads one tensor as float32. F64 and I64 are rounded; other formats
// than these and F32, F16, BF16 are refused.
func (f *File) Read(name string) (Tensor, error) {
	i, ok := f.Info(name)
	if !ok {
		return Tensor{}, uierr.New(fmt.Sprintf("%s: no tensor %q", f.path, name), "the file belongs to another kind of model")
	}
	return f.ReadInfo(i)
}

// ReadInfo reads what an Info of the file says, or a part of it.
func (f *File) ReadInfo(i Info) (Tensor, error) {
	t := Tensor{Name: i.Name, Shape: append([]int{}, i.Shape...)}
	err := f.check(i)
	if err == nil {
		t.Data = make([]float32, i.Count())
		err = f.read(i, t.Data)
	}
	return t, err
}

// Keep reads a tensor's bytes, to be written under a name.
func (f *File) Keep(i Info, name string) (Kept, error) {
	k := Kept{Name: name, DType: i.DType, Shape: i.Shape, Bytes: make([]byte, i.End-i.Begin)}
	return k, f.short(i, readFull(f.f, k.Bytes, f.h.data+i.Begin))
}

func (f *File) check(i Info) error {
	switch i.DType {
	case F32, F16, BF16, F64, I64:
		return nil
	}
	return uierr.New(fmt.Sprintf("%s: tensor %s has dtype %s", f.path, i.Name, i.DType),
		"F32, F16, BF16, F64 and I64 can be read; convert the file")
}

// Readers of all tensors share the cores; more than this many gain nothing
// from a page cache.
const maxReaders = 8

// ReadAll reads every tensor, in the order of their data.
func (f *File) ReadAll() ([]Tensor, error) {
	names := make([]string, len(f.h.tensors))
	for i, t := range f.h.tensors {
		names[i] = t.Name
	}
	return ReadMany(names, f.Read)
}

// ReadMany reads tensors on several cores; out is in the order of names.
func ReadMany(names []string, read func(string) (Tensor, error)) ([]Tensor, error) {
	out, errs := make([]Tensor, len(names)), make([]error, len(names))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), maxReaders, len(names)) {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(names) {
					return
				}
				out[i], errs[i] = read(names[i])
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// ReadFile reads every tensor of a file and its metadata.
func ReadFile(path string) ([]Tensor, map[string]string, error) {
	f, err := Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	t, err := f.ReadAll()
	return t, f.Metadata(), err
}

// littleEndian says whether a float32 in memory has the bytes of the file.
var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// asBytes is the memory of v, which outlives it.
func asBytes(v []float32) []byte {
	if len(v) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&v[0])), 4*len(v))
}

// chunk is the buffer of a conversion, small enough for a second-level cache.
const chunk = 1 << 18

// read fills dst with a tensor's values: F32 straight from the file into
// place, other formats through a buffer.
func (f *File) read(i Info, dst []float32) error {
	at := f.h.data + i.Begin
	if i.DType == F32 && littleEndian {
		return f.short(i, readFull(f.f, asBytes(dst), at))
	}
	size := int(i.DType.Size())
	buf := make([]byte, min(chunk, len(dst)*size))
	for len(dst) > 0 {
		n := min(len(dst), len(buf)/size)
		if err := readFull(f.f, buf[:n*size], at); err != nil {
			return f.short(i, err)
		}
		widen(dst[:n], buf, i.DType)
		dst, at = dst[n:], at+int64(n*size)
	}
	return nil
}

func (f *File) short(i Info, err error) error {
	if err != nil {
		err = fmt.Errorf("%s: tensor %s: %w", f.path, i.Name, err)
	}
	return err
}

// widen converts the first values of buf into dst.
func widen(dst []float32, buf []byte, from DType) {
	le := binary.LittleEndian
	switch from {
	case F32:
		for j := range dst {
			dst[j] = math.Float32frombits(le.Uint32(buf[4*j:]))
		}
	case F16:
		for j := range dst {
			dst[j] = F16ToF32(le.Uint16(buf[2*j:]))
		}
	case BF16:
		for j := range dst {
			dst[j] = BF16ToF32(le.Uint16(buf[2*j:]))
		}
	case F64:
		for j := range dst {
			dst[j] = float32(math.Float64frombits(le.Uint64(buf[8*j:])))
		}
	case I64:
		for j := range dst {
			dst[j] = float32(int64(le.Uint64(buf[8*j:])))
		}
	}
}
