package data

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"image/png"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/flops-vit/flops/internal/uierr"
)

// Export writes dir/split/CLASS/00000.png, ...: the images of each class in the
// order of the dataset. Where the source is a JPEG file its bytes are kept;
// everything else becomes PNG, so no pixel changes. The folder appears when it
// is complete; one that is there already is not touched and is an error.
func Export(ds Dataset, dir, split string) error {
	if split == "" || split != filepath.Base(split) || !filepath.IsLocal(split) {
		return uierr.New(fmt.Sprintf("%q cannot name a folder", split), "give a plain name, such as train")
	}
	target := filepath.Join(dir, split)
	if _, err := os.Lstat(target); err == nil {
		return uierr.New(target+": is there already", "remove it, or export to another folder")
	}
	folders, err := folderNames(ds.Classes())
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	work, err := os.MkdirTemp(dir, "."+split+"-*")
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	defer os.RemoveAll(work)
	root := filepath.Join(work, split)
	numbers, next := make([]int, ds.Len()), make([]int, len(folders))
	for i := range numbers {
		c := ds.Info(i).Label
		if next[c] == 0 {
			if err := os.MkdirAll(filepath.Join(root, folders[c]), 0o777); err != nil {
				return fmt.Errorf("export: %w", err)
			}
		}
		numbers[i] = next[c]
		next[c]++
	}
	errs := make([]error, ds.Len())
	parallel(runtime.GOMAXPROCS(0), ds.Len(), func(i int) {
		errs[i] = exportOne(ds, i, filepath.Join(root, folders[ds.Info(i).Label], fmt.Sprintf("%05d", numbers[i])))
	})
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	if err := os.Rename(root, target); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	return nil
}

// exportOne writes image i to stem and an extension.
func exportOne(ds Dataset, i int, stem string) error {
	im, err := ds.Image(i) // before anything is written, so that no broken image is passed on
	if err != nil {
		return err
	}
	if s, ok := ds.(source); ok {
		ext, data, err := s.encoded(i)
		if err != nil {
			return err
		}
		if ext == "jpg" {
			return os.WriteFile(stem+".jpg", data, 0o666)
		}
	}
	f, err := os.Create(stem + ".png")
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	w := bufio.NewWriter(f)
	return errors.Join(png.Encode(w, im.RGBA()), w.Flush(), f.Close())
}

// Renamed yields the classes of a dataset whose names cannot name folders, with
// the names that Export gives them.
func Renamed(ds Dataset) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		names, err := folderNames(ds.Classes())
		for i, c := range ds.Classes() {
			if err == nil && names[i] != c && !yield(c, names[i]) {
				return
			}
		}
	}
}

// folderNames makes class names fit for folders.
func folderNames(classes []string) ([]string, error) {
	out, taken := make([]string, len(classes)), map[string]string{}
	for i, c := range classes {
		name := strings.TrimSpace(strings.Map(func(r rune) rune {
			if r < ' ' || strings.ContainsRune(`/\:*?"<>|`, r) {
				return '_'
			}
			return r
		}, c))
		name = strings.TrimRight(name, ".")
		if strings.HasPrefix(name, ".") || !filepath.IsLocal(name) {
			name = "_" + name
		}
		if other, ok := taken[strings.ToLower(name)]; ok {
			return nil, uierr.New(fmt.Sprintf("classes %q and %q would share a folder", other, c),
				"choose one of them with data.classes")
		}
		taken[strings.ToLower(name)] = c
		out[i] = name
	}
	return out, nil
}

// checksumImages is the most images whose content enters a checksum.
const checksumImages = 1 << 14

// Checksum is the SHA-256 of a dataset, in hexadecimal: its classes, every
// image's ID and label, and the content (the file's bytes, else the pixels) of
// all images, or of 16384 evenly spaced ones of a larger set. It does not
// depend on where the dataset lies. An unreadable image counts as such.
func Checksum(ds Dataset) string {
	h := sha256.New()
	text := func(s string) {
		var n [8]byte
		binary.LittleEndian.PutUint64(n[:], uint64(len(s)))
		h.Write(n[:])
		h.Write([]byte(s))
	}
	for _, c := range ds.Classes() {
		text(c)
	}
	for i := range ds.Len() {
		in := ds.Info(i)
		text(fmt.Sprintf("%s %d", in.ID, in.Label))
	}
	n := min(ds.Len(), checksumImages)
	sums := make([][sha256.Size]byte, n)
	parallel(runtime.GOMAXPROCS(0), n, func(k int) {
		sums[k] = contentSum(ds, int(int64(k)*int64(ds.Len())/int64(n)))
	})
	for _, s := range sums {
		h.Write(s[:])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// ContentSum is a sum of an image of a dataset as it is stored.
func ContentSum(ds Dataset, i int) uint64 {
	sum := contentSum(ds, i)
	return binary.LittleEndian.Uint64(sum[:])
}

func contentSum(ds Dataset, i int) [sha256.Size]byte {
	if s, ok := ds.(source); ok {
		if ext, data, err := s.encoded(i); err == nil && ext != "" {
			return sha256.Sum256(data)
		}
	}
	im, err := ds.Image(i)
	if err != nil {
		return sha256.Sum256([]byte("unreadable"))
	}
	return sha256.Sum256(im.Pix)
}
