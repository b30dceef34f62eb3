package cluster

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/flops-vit/flops/internal/testkit"
)

// TestUnpack: the files of a checkpoint come back, and a name that leads elsewhere is
// refused.
func TestUnpack(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	for name, text := range map[string]string{"MANIFEST": "a", "model.safetensors": "weights", "state.json": "{}"} {
		testkit.Must(t, os.WriteFile(filepath.Join(from, name), []byte(text), 0o600))
	}
	var all bytes.Buffer
	testkit.Must(t, pack(&all, from))
	testkit.Must(t, unpack(&all, to))
	if b, err := os.ReadFile(filepath.Join(to, "model.safetensors")); err != nil || string(b) != "weights" {
		t.Errorf("%q, %v", b, err)
	}
	for _, name := range []string{"../evil", "/etc/evil", "a/b", ".hidden", "", "a\\b", "c:evil", "a\x00b"} {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		if w.WriteHeader(&tar.Header{Name: name, Size: 1, Typeflag: tar.TypeReg}) != nil {
			continue
		}
		_, err := w.Write([]byte("x"))
		testkit.Must(t, err)
		testkit.Must(t, w.Close())
		if err := unpack(&b, t.TempDir()); err == nil {
			t.Errorf("%q was written", name)
		}
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	testkit.Must(t, w.WriteHeader(&tar.Header{Name: "link", Linkname: "/etc/passwd", Typeflag: tar.TypeSymlink}))
	testkit.Must(t, w.Close())
	if err := unpack(&b, t.TempDir()); err == nil {
		t.Error("a link was written")
	}
}
