package data

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/filekind"
	"github.com/flops-vit/flops/internal/uierr"
)

func init() {
	for _, l := range []*layout{&cifar10, &cifar100} {
		register(kind{name: l.kind, open: func(cfg config.Data, part string) (source,
			error) {
			return openCIFAR(*l, cfg, part)
		},
			sniff: func(path string) bool { return l.find(path) != "" }})
	}
}

// layout is one of the two binary archives (Krizhevsky, 2009): records of label
// bytes and 3072 bytes of pixels, the planes R, G, B of 32×32.
type layout struct {
	kind        string
	folder      string // the archive unpacks to this
	train, test []string
	names       string // file of class names, one a line
	labelBytes  int    // the last of them is the label
	classes     []string
}

const (
	cifarSide  = 32
	cifarPlane = cifarSide * cifarSide
)

var cifar10 = layout{
	kind: "cifar10", folder: "cifar-10-batches-bin",
	train: []string{"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"},
	test:  []string{"test_batch.bin"}, names: "batches.meta.txt", labelBytes: 1,
	classes: []string{"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"},
}

var cifar100 = layout{
	kind: "cifar100", folder: "cifar-100-binary",
	train: []string{"train.bin"}, test: []string{"test.bin"}, names: "fine_label_names.txt", labelBytes: 2,
	classes: numbers(100),
}

// numbers names classes that have no names.
func numbers(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprint(i)
	}
	return out
}

// find returns the folder at or below path that holds the training files.
func (l *layout) find(path string) string {
	for _, dir := range []string{path, filepath.Join(path, l.folder)} {
		for _, name := range append(l.train[:1:1], l.test...) {
			if st, err := os.Stat(filepath.Join(dir, name)); err == nil && st.Mode().IsRegular() {
				return dir
			}
		}
	}
	return ""
}

// cifar reads records where they lie, so that a dataset costs a byte of memory
// per image and open files.
type cifar struct {
	table
	record int
	labels int
	files  []*os.File
	file   []uint8 // file of each image
	first  []int   // number of the first image of each file
}

func openCIFAR(l layout, cfg config.Data, part string) (source, error) {
	dir := l.find(cfg.Path)
	if dir == "" {
		return nil, uierr.New(fmt.Sprintf("data.path: %q holds no %s binary files (%s)", cfg.Path, l.kind, l.train[0]),
			"scripts/fetch-cifar.sh downloads and unpacks them; give the folder it names")
	}
	c := &cifar{record: l.labelBytes + 3*cifarPlane, labels: l.labelBytes}
	var err error
	if c.classes, err = classNames(filepath.Join(dir, l.names), l.classes); err != nil {
		return nil, err
	}
	names := l.train
	if part == Test {
		names = l.test
	}
	for _, name := range names {
		if err := c.scan(filepath.Join(dir, name), part); err != nil {
			c.Close()
			return nil, err
		}
	}
	return c, nil
}

// classNames reads one name a line; the fallback where there is no such file.
func classNames(path string, fallback []string) ([]string, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return fallback, nil
	}
	if err != nil {
		return nil, unreadable(path, err)
	}
	names := strings.Fields(string(raw))
	if len(names) != len(fallback) {
		return nil, uierr.New(fmt.Sprintf("%s: %d class names, not %d", path, len(names), len(fallback)),
			"fetch the archive again (scripts/fetch-cifar.sh)")
	}
	return names, distinct(path, names)
}

// scan opens a file and reads its labels.
func (c *cifar) scan(path, part string) error {
	f, err := os.Open(path)
	if err != nil {
		return uierr.Wrap(err, fmt.Sprintf("%s: %s", path, reason(err)), "fetch the archive again (scripts/fetch-cifar.sh)")
	}
	k := uint8(len(c.files))
	c.files, c.first = append(c.files, f), append(c.first, len(c.items))
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if err := filekind.MisplacedIn(f); err != nil {
		return filekind.At(path, err)
	}
	if st.Size() == 0 || st.Size()%int64(c.record) != 0 {
		return uierr.New(fmt.Sprintf("%s: %d bytes are not a whole number of records of %d", path, st.Size(), c.record),
			"the file is truncated or of another kind; fetch the archive again (scripts/fetch-cifar.sh)")
	}
	name := filepath.Base(path)
	buf := make([]byte, min(256*int64(c.record), st.Size()))
	for n := 0; ; {
		got, err := io.ReadFull(f, buf)
		if err == io.EOF {
			return nil
		}
		if err != nil && err != io.ErrUnexpectedEOF {
			return fmt.Errorf("%s: %w", path, err)
		}
		for b := buf[:got-got%c.record]; len(b) > 0; b = b[c.record:] {
			label := int(b[c.labels-1])
			if label >= len(c.classes) {
				return uierr.New(fmt.Sprintf("%s: record %d has label %d, of %d classes", path, n, label, len(c.classes)),
					"the file is damaged or of another kind; fetch the archive again (scripts/fetch-cifar.sh)")
			}
			c.items = append(c.items, Info{Path: fmt.Sprintf("%s[%d]", path, n), Label: label,
				ID: fmt.Sprintf("%s/%s/%05d", part, name, n)})
			c.file = append(c.file, k)
			n++
		}
	}
}

// Image reads image i and interleaves its planes.
func (c *cifar) Image(i int) (*Image, error) {
	k := c.file[i]
	buf := make([]byte, 3*cifarPlane)
	if _, err := c.files[k].ReadAt(buf, int64(i-c.first[k])*int64(c.record)+int64(c.labels)); err != nil {
		return nil, unreadable(c.items[i].Path, err)
	}
	im := &Image{cifarSide, cifarSide, make([]uint8, 3*cifarPlane)}
	for p := range cifarPlane {
		im.Pix[3*p], im.Pix[3*p+1], im.Pix[3*p+2] = buf[p], buf[cifarPlane+p], buf[2*cifarPlane+p]
	}
	return im, nil
}

func (c *cifar) check(int) error                     { return nil }
func (c *cifar) encoded(int) (string, []byte, error) { return "", nil, nil }

func (c *cifar) Close() error {
	var all error
	for _, f := range c.files {
		all = errors.Join(all, f.Close())
	}
	return all
}
