package checkpoint

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/jsonobj"
)

const (
	manifestName  = "MANIFEST"
	manifestTitle = "flops checkpoint 1"
	maxManifest   = 1 << 16
)

// entry is one file of a checkpoint.
type entry struct {
	name string
	size int64
	sum  [sha256.Size]byte
}

// hashed counts and hashes what passes to a file.
type hashed struct {
	w    io.Writer
	h    hash.Hash
	size int64
}

func (h *hashed) Write(p []byte) (int, error) {
	n, err := h.w.Write(p)
	h.h.Write(p[:n])
	h.size += int64(n)
	return n, err
}

// writeFiles writes and syncs the files of a new folder, the manifest last.
func writeFiles(disk fsys.FS, dir string, files []fsys.Content) error {
	var entries []entry
	for _, f := range files {
		h := &hashed{h: sha256.New()}
		err := fsys.WriteSynced(disk, filepath.Join(dir, f.Name), func(w io.Writer) error {
			h.w = w
			return f.Write(h)
		})
		if err != nil {
			return err
		}
		e := entry{name: f.Name, size: h.size}
		h.h.Sum(e.sum[:0])
		entries = append(entries, e)
	}
	m := fsys.Bytes(manifestName, encodeManifest(entries))
	if err := fsys.WriteSynced(disk, filepath.Join(dir, m.Name), m.Write); err != nil {
		return err
	}
	return disk.SyncDir(dir)
}

// encodeManifest has a title, a line "sha256 size name" for each file, and
// the sum of these lines.
func encodeManifest(entries []entry) []byte {
	var b bytes.Buffer
	b.WriteString(manifestTitle + "\n")
	for _, e := range entries {
		fmt.Fprintf(&b, "%x %d %s\n", e.sum, e.size, e.name)
	}
	sum := sha256.Sum256(b.Bytes())
	fmt.Fprintf(&b, "%x %s\n", sum, manifestName)
	return b.Bytes()
}

func parseManifest(raw []byte) ([]entry, error) {
	body, last, _ := cutLast(strings.TrimSuffix(string(raw), "\n"))
	sum := sha256.Sum256([]byte(body))
	if last != fmt.Sprintf("%x %s", sum, manifestName) || !bytes.HasSuffix(raw, []byte("\n")) {
		return nil, errors.New("is cut short or was altered")
	}
	lines := strings.Split(strings.TrimSuffix(body, "\n"), "\n")
	if lines[0] != manifestTitle {
		return nil, fmt.Errorf("begins with %q, not %q: it was written by another version", jsonobj.Clip(lines[0]),
			manifestTitle)
	}
	var entries []entry
	for _, line := range lines[1:] {
		parts := strings.SplitN(line, " ", 3)
		if len(parts) != 3 {
			return nil, fmt.Errorf("has the line %q", jsonobj.Clip(line))
		}
		var e entry
		sum, err := hex.DecodeString(parts[0])
		if err != nil || len(sum) != len(e.sum) {
			return nil, fmt.Errorf("has the line %q", jsonobj.Clip(line))
		}
		copy(e.sum[:], sum)
		if e.size, err = strconv.ParseInt(parts[1], 10, 64); err != nil || e.size < 0 {
			return nil, fmt.Errorf("has the line %q", jsonobj.Clip(line))
		}
		if e.name = parts[2]; !filepath.IsLocal(e.name) || strings.ContainsAny(e.name, `/\:`) {
			return nil, fmt.Errorf("names the file %q", jsonobj.Clip(e.name))
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// cutLast splits off the last line.
func cutLast(s string) (before, last string, ok bool) {
	i := strings.LastIndexByte(s, '\n')
	if i < 0 {
		return "", s, false
	}
	return s[:i+1], s[i+1:], true
}

// verify compares every file of a checkpoint with its manifest and returns the
// names it lists.
func verify(dir string) (map[string]bool, error) {
	raw, err := fsys.ReadSmall(filepath.Join(dir, manifestName), maxManifest)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", manifestName, plain(err))
	}
	entries, err := parseManifest(raw)
	if err != nil {
		return nil, fmt.Errorf("%s %w", manifestName, err)
	}
	names := map[string]bool{}
	for _, e := range entries {
		if err := e.verify(dir); err != nil {
			return nil, fmt.Errorf("%s %w", e.name, err)
		}
		names[e.name] = true
	}
	return names, nil
}

func (e entry) verify(dir string) error {
	f, err := os.Open(filepath.Join(dir, e.name))
	if err != nil {
		return plain(err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return plain(err)
	}
	if st.Size() != e.size {
		return fmt.Errorf("has %d bytes, not the %d that were written", st.Size(), e.size)
	}
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return plain(err)
	}
	if !bytes.Equal(h.Sum(nil), e.sum[:]) {
		return errors.New("was altered: its sha256 is not the one in " + manifestName)
	}
	return nil
}

// plain drops the path of an error that is named by its folder already.
func plain(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("is missing: %w", os.ErrNotExist)
	}
	return err
}
