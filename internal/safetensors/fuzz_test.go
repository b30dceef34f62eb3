package safetensors

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/flops-vit/flops/internal/testkit"
)

// FuzzHeader: a header that is accepted tiles its data exactly, every
// tensor of it can be read or is refused by name, and nothing panics.
func FuzzHeader(f *testing.F) {
	for _, h := range hostile {
		if len(h.file) < 4096 { // the deep ones are tested, and slow to mutate
			f.Add(h.file)
		}
	}
	var b bytes.Buffer
	if err := Write(&b, []Tensor{{"a", []int{2, 3}, testkit.Fill(6, 0)}, {"b", []int{}, testkit.Fill(1, 0)}}, BF16,
		map[string]string{"format": "pt"}); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, file []byte) {
		h, err := parseHeader(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			return
		}
		at := h.data
		for _, x := range h.tensors {
			if h.data+x.Begin != at {
				t.Fatalf("tensor %q starts at %d, the one before ends at %d", x.Name, h.data+x.Begin, at)
			}
			at += x.Count() * x.DType.Size()
		}
		if at != int64(len(file)) {
			t.Fatalf("the tensors end at %d, the file at %d", at, len(file))
		}
		path := filepath.Join(dir, "x.safetensors")
		testkit.Write(t, path, file)
		if _, _, err := ReadFile(path); err != nil {
			testkit.Mistake(t, err, path)
		}
	})
}

// FuzzIndex: an accepted index names only files beside it.
func FuzzIndex(f *testing.F) {
	for _, s := range []string{`{"metadata":{"total_size":4},"weight_map":{"a":"m-1.safetensors","b":"m-2.safetensors"}}`,
		`{"weight_map":{"a":"../m.safetensors"}}`, `{"weight_map":{"a":"/m.safetensors"}}`, `{"weight_map":{"a":"C:m.safetensors"}}`,
		`{"weight_map":{"a":"x.safetensors","a":"y.safetensors"}}`, `{"weight_map":[]}`, `{"weight_map":{}}`, `{}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		x, err := parseIndex(raw)
		if err != nil {
			return
		}
		for _, file := range x.files {
			if filepath.Base(file) != file || filepath.Ext(file) != ".safetensors" {
				t.Fatalf("accepted the shard %q", file)
			}
		}
		if len(x.names) != len(x.file) || len(x.files) == 0 {
			t.Fatalf("%+v", x)
		}
	})
}
