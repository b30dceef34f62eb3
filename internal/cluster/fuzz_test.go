package cluster

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// FuzzSnapshot: whatever comes as a checkpoint's archive, nothing is written outside
// the folder, and nothing in it but plain files.
func FuzzSnapshot(f *testing.F) {
	archive := func(headers ...tar.Header) []byte {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for _, h := range headers {
			h.Size = 3
			if h.Typeflag != tar.TypeReg {
				h.Size = 0
			}
			if w.WriteHeader(&h) == nil && h.Size > 0 {
				_, _ = w.Write([]byte("abc"))
			}
		}
		_ = w.Close()
		return b.Bytes()
	}
	f.Add(archive(tar.Header{Name: "state.json", Typeflag: tar.TypeReg, Mode: 0o644}))
	f.Add(archive(tar.Header{Name: "../out", Typeflag: tar.TypeReg}, tar.Header{Name: "a/b", Typeflag: tar.TypeReg}))
	f.Add(archive(tar.Header{Name: "link", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}))
	f.Add(archive(tar.Header{Name: "twice", Typeflag: tar.TypeReg}, tar.Header{Name: "twice", Typeflag: tar.TypeReg}))
	f.Fuzz(func(t *testing.T, raw []byte) {
		above := t.TempDir()
		dir := filepath.Join(above, "in")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		_ = unpack(bytes.NewReader(raw), dir)
		if list, err := os.ReadDir(above); err != nil || len(list) != 1 {
			t.Fatalf("written outside: %v %v", list, err)
		}
		list, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range list {
			if !e.Type().IsRegular() || !plain(e.Name()) {
				t.Fatalf("%s is no plain file", e.Name())
			}
		}
	})
}
