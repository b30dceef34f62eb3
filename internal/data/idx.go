package data

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/filekind"
	"github.com/flops-vit/flops/internal/imagefile"
	"github.com/flops-vit/flops/internal/uierr"
)

func init() {
	register(kind{name: "idx", open: openIDX, classes: idxClasses,
		sniff: func(path string) bool { return len(idxFiles(path, "images", "")) > 0 }})
}

// maxIDX is the largest IDX file, unpacked, that is held in memory: 2 GiB.
const maxIDX = 2 << 30

// idx is the format of MNIST and its family (LeCun, 1998): a big-endian magic
// number, the sizes of the dimensions, and bytes; images N×H×W or N×H×W×3,
// labels N. Both may be gzip files.
type idx struct {
	table
	h, w, c int
	pix     []byte
}

func openIDX(cfg config.Data, part string) (source, error) {
	if cfg.Path == "" {
		return nil, uierr.New("data.path is empty, and kind \"idx\" needs it", "give the folder that holds the idx files")
	}
	images, err := idxOne(cfg, part, "images")
	if err != nil {
		return nil, err
	}
	labels, err := idxOne(cfg, part, "labels")
	if err != nil {
		return nil, err
	}
	dims, pix, err := readIDX(images)
	if err != nil {
		return nil, err
	}
	if len(dims) != 3 && !(len(dims) == 4 && dims[3] == 3) {
		return nil, uierr.New(fmt.Sprintf("%s: dimensions %v are not those of images", images, dims),
			"give a file of N×H×W or N×H×W×3 bytes")
	}
	if int64(dims[1])*int64(dims[2]) > MaxPixels {
		return nil, uierr.New(fmt.Sprintf("%s: images of %d×%d, the limit is %d pixels", images, dims[2], dims[1], MaxPixels),
			"give a file of smaller images")
	}
	ldims, lab, err := readIDX(labels)
	if err != nil {
		return nil, err
	}
	if len(ldims) != 1 || ldims[0] != dims[0] {
		return nil, uierr.New(fmt.Sprintf("%s: dimensions %v, but there are %d images in %s", labels, ldims, dims[0], images),
			"give the label file of these images")
	}
	x := &idx{h: dims[1], w: dims[2], c: 1, pix: pix}
	if len(dims) == 4 {
		x.c = 3
	}
	classes, base := 0, strings.TrimSuffix(filepath.Base(images), ".gz")
	for i, l := range lab {
		classes = max(classes, int(l)+1)
		x.items = append(x.items, Info{Path: fmt.Sprintf("%s[%d]", images, i), Label: int(l),
			ID: fmt.Sprintf("%s/%s/%06d", part, base, i)})
	}
	x.classes = numbers(classes)
	return x, nil
}

// idxClasses are the numbers up to the largest label of the training split.
func idxClasses(cfg config.Data) ([]string, error) {
	path, err := idxOne(cfg, Train, "labels")
	if err != nil {
		return nil, err
	}
	_, labels, err := readIDX(path)
	if err != nil || len(labels) == 0 {
		return nil, err
	}
	return numbers(int(slices.Max(labels)) + 1), nil
}

// idxFiles lists the IDX files of a folder whose names hold what and a word of
// the part; "" for any part.
func idxFiles(dir, what, part string) []string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var found []string
	for _, e := range entries {
		name := strings.ToLower(e.Name())
		if !strings.Contains(name, "ubyte") || !strings.Contains(name, what) {
			continue
		}
		test := strings.Contains(name, "t10k") || strings.Contains(name, "test")
		if part == "" || test == (part == Test) {
			found = append(found, filepath.Join(dir, e.Name()))
		}
	}
	return found
}

// idxOne finds the one file of a part; an unpacked copy beside the packed one
// comes first.
func idxOne(cfg config.Data, part, what string) (string, error) {
	found := idxFiles(cfg.Path, what, part)
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) == 2 && found[1] == found[0]+".gz":
		return found[0], nil
	case len(found) > 1:
		return "", uierr.New(fmt.Sprintf("%s: %d files could be the %s %s: %s", cfg.Path, len(found), part, what,
			list(found)), "keep one set of files per folder")
	}
	want := map[string]string{Train: "train", Test: "t10k"}[part] + "-" + what + "-idx?-ubyte"
	lacks := fmt.Sprintf("%s: no file %s, packed or not", cfg.Path, want)
	if len(idxFiles(cfg.Path, "images", part))+len(idxFiles(cfg.Path, "labels", part)) == 0 {
		return "", uierr.Wrap(ErrNoSplit, lacks, "give the folder that holds the idx files")
	}
	return "", uierr.New(lacks, "images and labels belong side by side; fetch the one that is missing")
}

// readIDX reads a whole file and checks its header against what is there.
func readIDX(path string) ([]int, []byte, error) {
	damaged := func(format string, a ...any) error {
		return uierr.New(path+": "+fmt.Sprintf(format, a...), "the file is truncated or damaged; fetch it again")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, unreadable(path, err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil || !st.Mode().IsRegular() {
		return nil, nil, unreadable(path, errors.Join(err, errors.New("not a regular file")))
	}
	if err := filekind.MisplacedIn(f); err != nil {
		return nil, nil, filekind.At(path, err)
	}
	r, most := io.Reader(f), st.Size()
	if strings.HasSuffix(path, ".gz") {
		z, err := gzip.NewReader(f)
		if err != nil {
			return nil, nil, damaged("%s", reason(err))
		}
		r, most = z, imagefile.Inflate*st.Size()
	}
	dims, pix, err := parseIDX(r, most)
	if err != nil {
		return nil, nil, damaged("%s", reason(err))
	}
	return dims, pix, nil
}

// parseIDX reads an IDX stream of at most most bytes: a claim above that, or
// above maxIDX, is refused, and memory grows with what really arrives.
func parseIDX(r io.Reader, most int64) ([]int, []byte, error) {
	var magic [4]byte
	if _, err := io.ReadFull(r, magic[:]); err != nil {
		return nil, nil, errors.New("shorter than an IDX header")
	}
	if magic[0] != 0 || magic[1] != 0 {
		return nil, nil, fmt.Errorf("does not begin as an IDX file (%x)", magic)
	}
	if magic[2] != 8 {
		return nil, nil, fmt.Errorf("elements of type 0x%02x, only unsigned bytes (0x08) are images or labels", magic[2])
	}
	if magic[3] < 1 || magic[3] > 4 {
		return nil, nil, fmt.Errorf("%d dimensions", magic[3])
	}
	dims, total := make([]int, magic[3]), int64(1)
	for i := range dims {
		var d uint32
		if err := binary.Read(r, binary.BigEndian, &d); err != nil {
			return nil, nil, errors.New("shorter than an IDX header")
		}
		dims[i] = int(d)
		if d == 0 {
			return nil, nil, fmt.Errorf("dimension %d is 0", i)
		}
		if total > maxIDX/int64(d) {
			return nil, nil, fmt.Errorf("claims more than %d bytes", int64(maxIDX))
		}
		total *= int64(d)
	}
	if total > most {
		return nil, nil, fmt.Errorf("claims %v bytes of data, and the file cannot hold them", dims)
	}
	var buf bytes.Buffer
	if n, err := io.CopyN(&buf, r, total); err != nil {
		return nil, nil, fmt.Errorf("claims %d bytes of data and has %d", total, n)
	}
	switch n, err := r.Read(make([]byte, 1)); {
	case n > 0:
		return nil, nil, fmt.Errorf("has bytes after the %d that it claims", total)
	case err != io.EOF: // the checksum of a gzip file is found wrong here
		return nil, nil, err
	}
	return dims, buf.Bytes(), nil
}

// Image returns image i, gray repeated over the three channels.
func (x *idx) Image(i int) (*Image, error) {
	n := x.h * x.w * x.c
	src := x.pix[i*n : (i+1)*n]
	im := &Image{x.w, x.h, make([]uint8, 3*x.h*x.w)}
	if x.c == 3 {
		copy(im.Pix, src)
		return im, nil
	}
	for p, v := range src {
		im.Pix[3*p], im.Pix[3*p+1], im.Pix[3*p+2] = v, v, v
	}
	return im, nil
}

func (x *idx) check(int) error                     { return nil }
func (x *idx) encoded(int) (string, []byte, error) { return "", nil, nil }
func (x *idx) Close() error                        { return nil }
