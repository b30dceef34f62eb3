package safetensors

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flops-vit/flops/internal/testkit"
	"github.com/flops-vit/flops/internal/uierr"
)

func TestRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.safetensors")
	in := []Tensor{
		{"z", []int{2, 3},
			[]float32{1, -2, 0.5, float32(math.Inf(1)), float32(math.Copysign(0, -1)), math.Float32frombits(0x7fc12345)}},
		{"a", []int{}, []float32{7}},
		{"none", []int{0, 4}, []float32{}},
		{"long", []int{200001}, testkit.Fill(200001, 1)}, // more than one chunk, and an odd number
		{`quote " é <&>`, []int{1}, []float32{3}},
	}
	for _, d := range []DType{F32, F16, BF16} {
		meta := map[string]string{"format": "pt", "b": "2", "a": "1"}
		if err := WriteFile(quick(), path, in, d, meta); err != nil {
			t.Fatal(err)
		}
		want := in
		if d != F32 {
			want = nil
			for _, x := range in {
				y := Tensor{x.Name, x.Shape, make([]float32, len(x.Data))}
				buf := make([]byte, 2*len(x.Data))
				narrow(buf, x.Data, d)
				widen(y.Data, buf, d)
				want = append(want, y)
			}
		}
		got, gotMeta, err := ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !sameTensors(got, want) || fmt.Sprint(gotMeta) != fmt.Sprint(meta) {
			t.Errorf("%s: read %v %v", d, got[:3], gotMeta)
		}
		file, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if n := binary.LittleEndian.Uint64(file); n%8 != 0 {
			t.Errorf("%s: the data starts at %d, not aligned", d, 8+n)
		}
		var again bytes.Buffer
		if err := Write(&again, in, d, meta); err != nil || !bytes.Equal(again.Bytes(), file) {
			t.Errorf("%s: the same tensors made other bytes (%v)", d, err)
		}
	}
	if err := Write(&bytes.Buffer{}, in, F64, nil); err == nil {
		t.Error("F64 was written")
	}
	if err := Write(&bytes.Buffer{}, []Tensor{in[0], in[0]}, F32, nil); err == nil {
		t.Error("a name was written twice")
	}
	if err := Write(&bytes.Buffer{}, []Tensor{{"x", []int{3}, testkit.Fill(2, 0)}}, F32, nil); err == nil {
		t.Error("a shape that does not fit its data was written")
	}
}

func TestOtherDTypes(t *testing.T) {
	head := `{"d":{"dtype":"F64","shape":[2],"data_offsets":[0,16]},"i":{"dtype":"I64","shape":[1],"data_offsets":[16,24]},"b":{"dtype":"U8","shape":[3],"data_offsets":[24,27]}}   `
	b := raw(head, 27)
	data := b[8+len(head):]
	binary.LittleEndian.PutUint64(data, math.Float64bits(0.1))
	binary.LittleEndian.PutUint64(data[8:], math.Float64bits(-3))
	binary.LittleEndian.PutUint64(data[16:], math.MaxUint64) // −1
	path := filepath.Join(t.TempDir(), "x.safetensors")
	testkit.Write(t, path, b)
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d, err := f.Read("d")
	if err != nil || d.Data[0] != 0.1 || d.Data[1] != -3 {
		t.Error(d, err)
	}
	if i, err := f.Read("i"); err != nil || i.Data[0] != -1 {
		t.Error(i, err)
	}
	_, err = f.Read("b")
	testkit.Mistake(t, err, path, "b", "U8")
	_, err = f.Read("nothing")
	testkit.Mistake(t, err, path, "nothing")
}

// hostile are files that must be refused, with a word of the reason.
var hostile = map[string]struct {
	file []byte
	says string
}{
	"empty":           {nil, "too few"},
	"short length":    {[]byte{1, 2, 3}, "too few"},
	"header past end": {binary.LittleEndian.AppendUint64(nil, 100), "claims 100 bytes"},
	"header of 2^60":  {binary.LittleEndian.AppendUint64(nil, 1<<60), "claims"},
	"header of 2^64":  {binary.LittleEndian.AppendUint64(nil, math.MaxUint64), "claims"},
	"no header":       {raw("", 0), "not a JSON object"},
	"array":           {raw("[]", 0), "not a JSON object"},
	"leading blank":   {raw(" {}", 0), "not a JSON object"},
	"cut JSON":        {raw(`{"a":{"dtype":"F32"`, 0), "ends in the middle"},
	"not UTF-8":       {raw("{\"\xff\":1}", 0), "UTF-8"},
	"two objects":     {raw("{}{}", 0), "after the JSON object"},
	"deep":            {raw(`{"a":`+strings.Repeat("[", 100000), 0), "where"},
	"deep shape":      {raw(`{"a":{"dtype":"F32","shape":`+strings.Repeat("[", 100000), 0), "where"},
	"deep metadata":   {raw(`{"__metadata__":`+strings.Repeat(`{"a":`, 100000), 0), "where"},
	"metadata number": {raw(`{"__metadata__":{"a":1}}`, 0), "string"},
	"same name":       {raw(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, 8), "twice"},
	"same key":        {raw(`{"a":{"dtype":"F32","dtype":"F16","shape":[1],"data_offsets":[0,4]}}`, 4), "twice"},
	"unknown key":     {raw(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"strides":[1]}}`, 4), "strides"},
	"unknown dtype":   {raw(`{"a":{"dtype":"F31","shape":[1],"data_offsets":[0,4]}}`, 4), "F31"},
	"no shape":        {raw(`{"a":{"dtype":"F32","data_offsets":[0,4]}}`, 4), "missing"},
	"no dtype":        {raw(`{"a":{"shape":[1],"data_offsets":[0,4]}}`, 4), "missing"},
	"one offset":      {raw(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}}`, 4), "fewer"},
	"three offsets":   {raw(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}}`, 4), "more"},
	"negative size":   {raw(`{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}`, 4), "-1"},
	"fraction":        {raw(`{"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}}`, 4), "1.0"},
	"exponent":        {raw(`{"a":{"dtype":"F32","shape":[1e0],"data_offsets":[0,4]}}`, 4), "1e0"},
	"size of 2^64":    {raw(`{"a":{"dtype":"F32","shape":[18446744073709551616],"data_offsets":[0,4]}}`, 4), "not a size"},
	"many sizes": {raw(`{"a":{"dtype":"F32","shape":[`+strings.Repeat("1,", 50000)+`1],"data_offsets":[0,4]}}`, 4),
		"dimensions"},
	"tensor of 2^60": {raw(`{"a":{"dtype":"F32","shape":[288230376151711744],"data_offsets":[0,1152921504606846976]}}`,
		4), "outside"},
	"overflow":      {raw(`{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`, 0), "overflows"},
	"overflow to 4": {raw(`{"a":{"dtype":"F32","shape":[4611686018427387905],"data_offsets":[0,4]}}`, 4), "overflows"},
	"wrong length":  {raw(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}`, 4), "needs 8 bytes"},
	"backwards":     {raw(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}`, 4), "backwards"},
	"outside":       {raw(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 4), "outside"},
	"overlap":       {raw(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}`, 12), "overlap"},
	"same range":    {raw(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 4), "overlap"},
	"inside":        {raw(`{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,12]},"b":{"dtype":"F32","shape":[0],"data_offsets":[4,4]}}`, 12), "overlap"},
	"gap":           {raw(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}`, 12), "no tensor"},
	"late start":    {raw(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, 8), "no tensor"},
	"rest":          {raw(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 8), "no tensor"},
}

// TestHostile refuses each file, says why, and allocates no more than a small
// multiple of the file itself: reading it as JSON costs up to some ten times
// its size, what the file claims would be up to 2^60 bytes.
func TestHostile(t *testing.T) {
	dir := t.TempDir()
	for name, h := range hostile {
		path := filepath.Join(dir, "x.safetensors")
		testkit.Write(t, path, h.file)
		var err error
		n := testkit.Allocated(func() { _, err = Open(path) })
		if e, ok := uierr.As(err); !ok || !strings.Contains(e.What, h.says) || !strings.Contains(e.What, path) ||
			e.Hint == "" {
			t.Errorf("%s: %v, want %q", name, err, h.says)
		}
		if limit := uint64(1<<20 + 40*len(h.file)); n > limit {
			t.Errorf("%s: %d bytes allocated for a file of %d", name, n, len(h.file))
		}
	}
	_, err := Open(filepath.Join(dir, "absent"))
	testkit.Mistake(t, err, "absent")
	_, err = Open(dir)
	testkit.Mistake(t, err, dir)
}
