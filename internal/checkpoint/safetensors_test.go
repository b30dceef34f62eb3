package checkpoint

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flops-vit/flops/internal/testkit"
	"github.com/flops-vit/flops/internal/uierr"
)

func TestRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.safetensors")
	in := []Tensor{
		{"z", []int{2, 3}, []float32{1, -2, 0.5, float32(math.Inf(1)), float32(math.Copysign(0, -1)), math.Float32frombits(0x7fc12345)}},
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
		if err := WriteSafetensors(&again, in, d, meta); err != nil || !bytes.Equal(again.Bytes(), file) {
			t.Errorf("%s: the same tensors made other bytes (%v)", d, err)
		}
	}
	if err := WriteSafetensors(&bytes.Buffer{}, in, F64, nil); err == nil {
		t.Error("F64 was written")
	}
	if err := WriteSafetensors(&bytes.Buffer{}, []Tensor{in[0], in[0]}, F32, nil); err == nil {
		t.Error("a name was written twice")
	}
	if err := WriteSafetensors(&bytes.Buffer{}, []Tensor{{"x", []int{3}, testkit.Fill(2, 0)}}, F32, nil); err == nil {
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
	"many sizes":      {raw(`{"a":{"dtype":"F32","shape":[`+strings.Repeat("1,", 50000)+`1],"data_offsets":[0,4]}}`, 4), "dimensions"},
	"tensor of 2^60":  {raw(`{"a":{"dtype":"F32","shape":[288230376151711744],"data_offsets":[0,1152921504606846976]}}`, 4), "outside"},
	"overflow":        {raw(`{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`, 0), "overflows"},
	"overflow to 4":   {raw(`{"a":{"dtype":"F32","shape":[4611686018427387905],"data_offsets":[0,4]}}`, 4), "overflows"},
	"wrong length":    {raw(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}`, 4), "needs 8 bytes"},
	"backwards":       {raw(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}`, 4), "backwards"},
	"outside":         {raw(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 4), "outside"},
	"overlap":         {raw(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}`, 12), "overlap"},
	"same range":      {raw(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 4), "overlap"},
	"inside":          {raw(`{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,12]},"b":{"dtype":"F32","shape":[0],"data_offsets":[4,4]}}`, 12), "overlap"},
	"gap":             {raw(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}`, 12), "no tensor"},
	"late start":      {raw(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, 8), "no tensor"},
	"rest":            {raw(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 8), "no tensor"},
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
		if e, ok := uierr.As(err); !ok || !strings.Contains(e.What, h.says) || !strings.Contains(e.What, path) || e.Hint == "" {
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

func TestVitCifar5(t *testing.T) {
	dir := testkit.Shared(t, "models/vit-cifar5")
	m, err := LoadModel(dir)
	if err != nil {
		t.Fatal(err)
	}
	if m.Classes() != 5 || m.Config.Labels[4] != "ship" || m.Config.HiddenSize != 128 || len(m.Ignored)+len(m.Extra) != 0 {
		t.Errorf("%+v, ignored %v, extra %v", m.Config, m.Ignored, m.Extra)
	}
	file, err := os.ReadFile(filepath.Join(dir, weightsName))
	if err != nil {
		t.Fatal(err)
	}
	// The first tensor, cls_token, read by hand.
	at := 8 + binary.LittleEndian.Uint64(file)
	for i := range 128 {
		if got, want := m.Tensors[0].Data[i], math.Float32frombits(binary.LittleEndian.Uint32(file[at+4*uint64(i):])); got != want {
			t.Fatalf("cls_token[%d] = %v, the file has %v", i, got, want)
		}
	}
	s, err := Inspect(dir)
	if err != nil || s.Parameters != (s.Bytes-8-int64(at-8))/4 || s.Classes != 5 || s.Tokens != 65 || s.DTypes["F32"] != s.Parameters {
		t.Errorf("%+v, %v", s, err)
	}
	out := t.TempDir()
	save(t, out, m, F32)
	again, err := LoadModel(out)
	if err != nil || !sameTensors(again.Tensors, m.Tensors) {
		t.Error("a saved model came back different", err)
	}
	if a, b := canon(t, filepath.Join(dir, configName)), canon(t, filepath.Join(out, configName)); a != b {
		t.Errorf("config.json changed:\n%s\n%s", a, b)
	}
	if a, b := canon(t, filepath.Join(dir, preprocessorName)), canon(t, filepath.Join(out, preprocessorName)); a != b {
		t.Errorf("preprocessor_config.json changed:\n%s\n%s", a, b)
	}
}

// TestViTBaseLoads times a ViT-B of 344 MB, which must load in under two
// seconds. The file comes from the page cache.
func TestViTBaseLoads(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 344 MB")
	}
	dir := t.TempDir()
	m := &Model{Config: DefaultConfig()}
	for _, s := range m.Config.Layout(10) {
		n := 1
		for _, d := range s.Shape {
			n *= d
		}
		m.Tensors = append(m.Tensors, Tensor{s.Name, s.Shape, make([]float32, n)})
	}
	m.Config.Labels = NumberedLabels(10)
	save(t, dir, m, F32)
	m = nil
	best := time.Hour
	for range 3 {
		began := time.Now()
		if _, err := LoadModel(dir); err != nil {
			t.Fatal(err)
		}
		best = min(best, time.Since(began))
	}
	t.Logf("ViT-B/16: %v", best)
	if best > 2*time.Second {
		t.Errorf("ViT-B/16 took %v to load", best)
	}
}
