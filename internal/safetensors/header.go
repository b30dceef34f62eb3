package safetensors

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"sort"

	"github.com/flops-vit/flops/internal/jsonobj"
)

const (
	// maxHeader is the largest header the safetensors specification allows.
	maxHeader = 100 << 20
	// maxRank bounds the dimensions of one tensor; a ViT has at most four.
	maxRank = 16
)

// Info is what a safetensors header says of one tensor.
type Info struct {
	Name       string
	DType      DType
	Shape      []int
	Begin, End int64 // bytes from the start of the data
}

// Count is the number of values.
func (i Info) Count() int64 { return 8 * (i.End - i.Begin) / dtypeBits[i.DType] }

// header is a checked header: the tensors tile the data exactly, in order.
type header struct {
	tensors []Info // by offset
	meta    map[string]string
	data    int64 // where the data starts in the file
}

// parseHeader reads and checks the header of a file of size bytes. Nothing is
// allocated before the file is known to be long enough to hold it.
func parseHeader(r io.ReaderAt, size int64) (*header, error) {
	var word [8]byte
	if size < 8 {
		return nil, fmt.Errorf("%d bytes are too few for a header", size)
	}
	if err := readFull(r, word[:], 0); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint64(word[:])
	switch {
	case n > math.MaxInt64 || int64(n) > size-8:
		return nil, fmt.Errorf("the header claims %d bytes, the file has %d", n, size)
	case n > maxHeader:
		return nil, fmt.Errorf("the header claims %d bytes, more than the %d that the format allows", n, maxHeader)
	}
	raw := make([]byte, n)
	if err := readFull(r, raw, 8); err != nil {
		return nil, err
	}
	h := &header{data: 8 + int64(n)}
	if len(raw) == 0 || raw[0] != '{' {
		return nil, errors.New("the header is not a JSON object")
	}
	if err := jsonobj.Each(raw, h.member); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	return h, h.tile(size - h.data)
}

func readFull(r io.ReaderAt, p []byte, off int64) error {
	n, err := r.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// member reads one key of the header.
func (h *header) member(key string, d *json.Decoder) error {
	if key == "__metadata__" {
		h.meta = map[string]string{}
		return jsonobj.Members(d, func(k string, d *json.Decoder) (err error) {
			h.meta[k], err = jsonobj.Text(d)
			return err
		})
	}
	t, err := tensorInfo(key, d)
	if err != nil {
		return fmt.Errorf("tensor %q: %w", jsonobj.Clip(key), err)
	}
	h.tensors = append(h.tensors, t)
	return nil
}

func tensorInfo(name string, d *json.Decoder) (Info, error) {
	t := Info{Name: name}
	var shape, offsets bool
	err := jsonobj.Members(d, func(key string, d *json.Decoder) error {
		switch key {
		case "dtype":
			s, err := jsonobj.Text(d)
			t.DType = DType(s)
			return err
		case "shape":
			shape = true
			return jsonobj.Array(d, func(d *json.Decoder) error {
				n, err := jsonobj.Number(d)
				if len(t.Shape) == maxRank {
					return fmt.Errorf("more than %d dimensions", maxRank)
				}
				t.Shape = append(t.Shape, int(n))
				return err
			})
		case "data_offsets":
			offsets = true
			at := []*int64{&t.Begin, &t.End}
			err := jsonobj.Array(d, func(d *json.Decoder) (err error) {
				if len(at) == 0 {
					return errors.New("more than two data_offsets")
				}
				*at[0], err = jsonobj.Number(d)
				at = at[1:]
				return err
			})
			if err == nil && len(at) > 0 {
				err = errors.New("fewer than two data_offsets")
			}
			return err
		}
		return fmt.Errorf("unknown key %q", jsonobj.Clip(key))
	})
	if err != nil {
		return t, err
	}
	if !shape || !offsets || t.DType == "" {
		return t, errors.New("dtype, shape or data_offsets is missing")
	}
	return t, t.check()
}

// check compares the range of a tensor with its format and shape.
func (i Info) check() error {
	n := uint64(dtypeBits[i.DType])
	if n == 0 {
		return fmt.Errorf("unknown dtype %q", jsonobj.Clip(string(i.DType)))
	}
	for _, d := range i.Shape {
		hi, lo := bits.Mul64(n, uint64(d))
		if hi != 0 {
			return fmt.Errorf("shape %v overflows", i.Shape)
		}
		n = lo
	}
	if n%8 != 0 {
		return fmt.Errorf("shape %v of %s ends inside of a byte", i.Shape, i.DType)
	}
	n /= 8
	switch {
	case i.End < i.Begin:
		return fmt.Errorf("data_offsets [%d,%d] run backwards", i.Begin, i.End)
	case uint64(i.End-i.Begin) != n:
		return fmt.Errorf("shape %v of %s needs %d bytes, data_offsets [%d,%d] hold %d", i.Shape, i.DType, n, i.Begin, i.End,
			i.End-i.Begin)
	}
	return nil
}

// tile checks that the tensors cover the data without gap or overlap.
func (h *header) tile(size int64) error {
	sort.SliceStable(h.tensors, func(a, b int) bool {
		x, y := h.tensors[a], h.tensors[b]
		return x.Begin < y.Begin || x.Begin == y.Begin && x.End < y.End
	})
	var at int64
	for i, t := range h.tensors {
		switch {
		case t.End > size:
			return fmt.Errorf("tensor %q: data_offsets [%d,%d] lie outside the data of %d bytes", jsonobj.Clip(t.Name), t.Begin,
				t.End, size)
		case t.Begin < at:
			return fmt.Errorf("tensors %q and %q overlap", jsonobj.Clip(h.tensors[i-1].Name), jsonobj.Clip(t.Name))
		case t.Begin > at:
			return fmt.Errorf("bytes %d to %d of the data belong to no tensor", at, t.Begin)
		}
		at = t.End
	}
	if at != size {
		return fmt.Errorf("bytes %d to %d of the data belong to no tensor", at, size)
	}
	return nil
}

// encodeHeader lays the tensors one after the other, those that are kept as they
// are last, and returns the bytes in front of the data. Keys stand in the order
// given, metadata first and sorted, and blanks fill up to a multiple of 8, so that
// the data is aligned.
func encodeHeader(tensors []Tensor, kept []Kept, dtype DType, meta map[string]string) ([]byte, error) {
	var b bytes.Buffer
	b.Write(make([]byte, 8))
	b.WriteByte('{')
	if len(meta) > 0 {
		m, err := json.Marshal(meta)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, `"__metadata__":%s`, m)
	}
	seen := map[string]bool{"__metadata__": true}
	var at int64
	add := func(name string, shape []int, dtype DType, size int64) error {
		if seen[name] {
			return fmt.Errorf("tensor name %q stands twice or is reserved", name)
		}
		seen[name] = true
		key, err := json.Marshal(name)
		if err != nil {
			return err
		}
		if b.Len() > 9 {
			b.WriteByte(',')
		}
		s, err := json.Marshal(append([]int{}, shape...)) // never null
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, `%s:{"dtype":"%s","shape":%s,"data_offsets":[%d,%d]}`, key, dtype, s, at, at+size)
		at += size
		return nil
	}
	for _, t := range tensors {
		n := 1
		for _, d := range t.Shape {
			n *= d
		}
		if n != len(t.Data) {
			return nil, fmt.Errorf("tensor %s: shape %v needs %d values, there are %d", t.Name, t.Shape, n, len(t.Data))
		}
		if err := add(t.Name, t.Shape, dtype, int64(n)*dtype.Size()); err != nil {
			return nil, err
		}
	}
	for _, t := range kept {
		if err := add(t.Name, t.Shape, t.DType, int64(len(t.Bytes))); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	for b.Len()%8 != 0 {
		b.WriteByte(' ')
	}
	if b.Len()-8 > maxHeader {
		return nil, fmt.Errorf("a header of %d bytes is more than the format allows", b.Len()-8)
	}
	out := b.Bytes()
	binary.LittleEndian.PutUint64(out, uint64(len(out)-8))
	return out, nil
}
