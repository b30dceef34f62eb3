package embed

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/safetensors"
	"github.com/flops-vit/flops/internal/uierr"
)

var sample = &Set{IDs: []string{"cat", "dog", "zebra, or not"}, Width: 2, Data: []float32{1, 2, -3, .25, 1e-8, 3e38}}

func same(t *testing.T, got *Set, ids bool) {
	t.Helper()
	if got.Width != sample.Width || !slices.Equal(got.Data, sample.Data) {
		t.Errorf("read %d: %v", got.Width, got.Data)
	}
	if ids && !slices.Equal(got.IDs, sample.IDs) {
		t.Errorf("ids %q", got.IDs)
	}
}

func TestRoundTrip(t *testing.T) {
	for _, name := range []string{"e.safetensors", "e.npy", "e.parquet"} {
		path := filepath.Join(t.TempDir(), name)
		if err := Write(path, sample); err != nil {
			t.Fatal(err)
		}
		s, err := Read(path)
		if err != nil {
			t.Fatal(err)
		}
		same(t, s, true)
		plain := *sample
		plain.IDs = nil
		path = filepath.Join(t.TempDir(), name)
		if err := Write(path, &plain); err != nil {
			t.Fatal(err)
		}
		if s, err = Read(path); err != nil || s.IDs != nil {
			t.Fatalf("%s without ids: %+v, %v", name, s, err)
		}
		same(t, s, false)
	}
}

func TestPerIDTensors(t *testing.T) {
	path := filepath.Join(t.TempDir(), "e.safetensors")
	var ts []safetensors.Tensor
	for i, id := range sample.IDs {
		ts = append(ts, safetensors.Tensor{Name: id, Shape: []int{2}, Data: sample.Data[2*i : 2*i+2]})
	}
	if err := safetensors.WriteFile(fsys.OS, path, ts, safetensors.F32, nil); err != nil {
		t.Fatal(err)
	}
	s, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	same(t, s, true)
	ts[1] = safetensors.Tensor{Name: "dog", Shape: []int{3}, Data: make([]float32, 3)}
	if err := safetensors.WriteFile(fsys.OS, path, ts, safetensors.F32, nil); err != nil {
		t.Fatal(err)
	}
	wantError(t, path, `embedding "dog" has width 3, others 2`)
}

func TestParquet(t *testing.T) {
	type row struct {
		ID        string    `parquet:"id"`
		Embedding []float32 `parquet:"embedding,list"`
	}
	path := filepath.Join(t.TempDir(), "e.parquet")
	var rows []row
	for i, id := range sample.IDs {
		rows = append(rows, row{id, sample.Data[2*i : 2*i+2]})
	}
	if err := parquet.WriteFile(path, rows); err != nil {
		t.Fatal(err)
	}
	s, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	same(t, s, true)
	rows[1].Embedding = []float32{1}
	if err := parquet.WriteFile(path, rows); err != nil {
		t.Fatal(err)
	}
	wantError(t, path, "row 1: embedding of width 1, others 2")

	type wide struct {
		Number int64     `parquet:"number"`
		V      []float64 `parquet:"v"`
	}
	if err := parquet.WriteFile(path, []wide{{7, []float64{1, 2}}, {8, []float64{3, 4}}}); err != nil {
		t.Fatal(err)
	}
	if s, err = Read(path); err != nil || !slices.Equal(s.IDs, []string{"7", "8"}) ||
		!slices.Equal(s.Data, []float32{1, 2, 3, 4}) {
		t.Errorf("integers and doubles: %+v, %v", s, err)
	}
	if err := os.WriteFile(path, []byte("PAR1 this is no parquet file PAR1"), 0o644); err != nil {
		t.Fatal(err)
	}
	wantError(t, path, "not a sound parquet file")
}

func wantError(t *testing.T, path, want string) {
	t.Helper()
	_, err := Read(path)
	if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), path) {
		t.Errorf("error %v, want %s: ...%s", err, path, want)
	}
	if _, ok := uierr.As(err); !ok {
		t.Errorf("%v is not for the user", err)
	}
}

func npy(version byte, header string, values []byte) []byte {
	b := append([]byte(npyMagic), version, 0)
	if version == 1 {
		b = binary.LittleEndian.AppendUint16(b, uint16(len(header)))
	} else {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(header)))
	}
	return append(append(b, header...), values...)
}

func floats(item int, v ...float32) []byte {
	var b []byte
	for _, x := range v {
		switch item {
		case 2:
			b = binary.LittleEndian.AppendUint16(b, safetensors.F32ToF16(x))
		case 4:
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
		case 8:
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(float64(x)))
		}
	}
	return b
}

func TestNPYVersions(t *testing.T) {
	for version := byte(1); version <= 3; version++ {
		for _, item := range []int{2, 4, 8} {
			b := npy(version, fmt.Sprintf("{'descr': '<f%d', 'fortran_order': False, 'shape': (2, 3), }   \n", item),
				floats(item, 1, 2, 3, -4, .5, 6))
			s, err := readNPY(bytes.NewReader(b), int64(len(b)))
			if err != nil || s.Width != 3 || !slices.Equal(s.Data, []float32{1, 2, 3, -4, .5, 6}) {
				t.Errorf("version %d <f%d: %+v, %v", version, item, s, err)
			}
		}
	}
}

func TestNPYRefuses(t *testing.T) {
	v := floats(4, 1, 2, 3, 4, 5, 6)
	h := func(descr, order, shape string) []byte {
		return npy(1, fmt.Sprintf("{'descr': %s, 'fortran_order': %s, 'shape': %s, }\n", descr, order, shape), v)
	}
	for want, b := range map[string][]byte{
		"Fortran":                    h("'<f4'", "True", "(2, 3)"),
		"dtype is '>f4'":             h("'>f4'", "False", "(2, 3)"),
		"dtype is '|O'":              h("'|O'", "False", "(2, 3)"),
		"shape is (6,)":              h("'<f4'", "False", "(6,)"),
		"shape is (1, 2, 3)":         h("'<f4'", "False", "(1, 2, 3)"),
		"an array of 2×4":            h("'<f4'", "False", "(2, 4)"),
		"2305843009213693951×":       h("'<f4'", "False", "(2305843009213693951, 2305843009213693951)"),
		"4×1073741824":               h("'<f4'", "False", "(4, 1073741824)"),
		"an array of 0×3":            h("'<f4'", "False", "(0, 3)"),
		"no dict":                    npy(1, "rubbish\n", v),
		"lacks":                      npy(1, "{'descr': '<f4'}\n", v),
		"two entries":                npy(1, "{'descr': '<f4', 'descr': '<f4'}\n", v),
		"unknown entry":              npy(1, "{'os': '<f4'}\n", v),
		"not understood":             npy(1, "{'descr': __import__('os')}\n", v),
		"version 9":                  npy(9, "{}", v),
		"a header of 4294967295":     append([]byte(npyMagic), 2, 0, 255, 255, 255, 255, 0, 0),
		"not a NumPy array":          []byte("PK\x03\x04 an npz file is a zip"),
		"a header of 118 bytes in a": append([]byte(npyMagic), 1, 0, 118, 0, '{'),
	} {
		_, err := readNPY(bytes.NewReader(b), int64(len(b)))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

func TestNPYReadsNumPy(t *testing.T) {
	// numpy.save of numpy.arange(4).reshape(2, 2).astype('float32'), NumPy 1.24.
	b := []byte("\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }" +
		strings.Repeat(" ", 58) + "\n")
	b = append(b, floats(4, 0, 1, 2, 3)...)
	path := filepath.Join(t.TempDir(), "e.npy")
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	s, err := Read(path)
	if err != nil || s.IDs != nil || s.Width != 2 || !slices.Equal(s.Data, []float32{0, 1, 2, 3}) {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestValidation(t *testing.T) {
	nan := float32(math.NaN())
	dir := t.TempDir()
	for want, s := range map[string]*Set{
		`embedding 1 ("b") holds NaN`:       {IDs: []string{"a", "b"}, Width: 2, Data: []float32{1, 2, 3, nan}},
		`two embeddings have the id "a"`:    {IDs: []string{"a", "a"}, Width: 1, Data: []float32{1, 2}},
		"2 ids for 1 embeddings":            {IDs: []string{"a", "b"}, Width: 2, Data: []float32{1, 2}},
		"no embeddings in it":               {Width: 2},
		`the id "a\nb" has a line break`:    {IDs: []string{"a\nb"}, Width: 1, Data: []float32{1}},
		`not written to ".txt" files`:       {Width: 1, Data: []float32{1}},
		`embedding 0 holds +Inf`:            {Width: 1, Data: []float32{float32(math.Inf(1))}},
		`embedding 1 ("") holds NaN`:        {IDs: []string{"a", ""}, Width: 1, Data: []float32{1, nan}},
		`two embeddings have the id ""`:     {IDs: []string{"", ""}, Width: 1, Data: []float32{1, 1}},
		"3 ids for 2 embeddings":            {IDs: []string{"a", "b", "c"}, Width: 1, Data: []float32{1, 1}},
		"embedding 0 (\"\\x01\") holds NaN": {IDs: []string{"\x01"}, Width: 1, Data: []float32{nan}},
	} {
		name := "e.npy"
		if strings.Contains(want, ".txt") {
			name = "e.txt"
		}
		err := Write(filepath.Join(dir, name), s)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

func TestRows(t *testing.T) {
	s := *sample
	s.Path = "texts.npy"
	rows, err := s.Rows([]string{"dog", "cat"})
	if err != nil || !slices.Equal(rows, []float32{-3, .25, 1, 2}) {
		t.Errorf("%v, %v", rows, err)
	}
	_, err = s.Rows([]string{"cat", "a", "b", "c", "d", "e", "f", "g"})
	want := `texts.npy: 7 of 8 ids have no embedding: "a", "b", "c", "d", "e" and 2 more`
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	s.IDs = nil
	if _, err = s.Rows([]string{"cat", "dog"}); err == nil ||
		!strings.Contains(err.Error(), "3 embeddings without ids for 2") {
		t.Errorf("error %v", err)
	}
	if err := s.CheckWidth(3); err == nil ||
		err.Error() != "texts.npy: embeddings have width 2, the model's projection 3" {
		t.Errorf("error %v", err)
	}
}

func FuzzNPY(f *testing.F) {
	v := floats(4, 1, 2, 3, 4, 5, 6)
	f.Add(npy(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n", v))
	f.Add(npy(3, "{'shape': (2L, 3L), 'descr': '<f4', 'fortran_order': False}", v))
	f.Add(npy(2, "{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999, 99999999999), }\n", v))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := readNPY(bytes.NewReader(b), int64(len(b)))
		if err == nil && (s.Width < 1 || len(s.Data) == 0 || len(s.Data)%s.Width != 0 || len(s.Data)*2 > len(b)) {
			t.Errorf("%d values of width %d from %d bytes", len(s.Data), s.Width, len(b))
		}
	})
}

func TestPointersInPlaceOfEmbeddingsAreNamed(t *testing.T) {
	for _, name := range []string{"a.npy", "a.parquet", "a.safetensors"} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 2214\n"),
			0o666); err != nil {
			t.Fatal(err)
		}
		_, err := Read(path)
		if u, ok := uierr.As(err); !ok || !strings.HasPrefix(u.What, path+": this is a Git LFS pointer") ||
			!strings.Contains(u.Hint, "git lfs pull") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
