package jpegrgb

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// djpeg decodes with libjpeg-turbo's program, status 0 or not.
func djpeg(t *testing.T, data []byte) (w, h int, rgb []byte, ok bool) {
	t.Helper()
	program, err := exec.LookPath("djpeg")
	if err != nil {
		t.Skip("djpeg is not installed: nothing to compare with")
	}
	c := exec.Command(program, "-pnm")
	c.Stdin = bytes.NewReader(data)
	out, err := c.Output()
	var status *exec.ExitError
	if err != nil && !(errors.As(err, &status) && status.ExitCode() == 2) { // 2: with a warning
		return 0, 0, nil, false
	}
	var kind string
	var most int
	if _, err := fmt.Sscanf(string(out[:min(len(out), 40)]), "%s\n%d %d\n%d", &kind, &w, &h, &most); err != nil {
		t.Fatal(err)
	}
	n := w * h
	if kind == "P6" {
		return w, h, out[len(out)-3*n:], true
	}
	for _, v := range out[len(out)-n:] {
		rgb = append(rgb, v, v, v)
	}
	return w, h, rgb, true
}

// sameAsDjpeg compares one file.
func sameAsDjpeg(t *testing.T, name string, data []byte) {
	t.Helper()
	w, h, want, ok := djpeg(t, data)
	gw, gh, got, err := Decode(data)
	switch {
	case !ok && err == nil:
		t.Errorf("%s: decoded, where djpeg refuses", name)
	case ok && err != nil:
		t.Errorf("%s: %v", name, err)
	case ok && (gw != w || gh != h):
		t.Errorf("%s: %d×%d, want %d×%d", name, gw, gh, w, h)
	case ok:
		for i, v := range got {
			if v != want[i] {
				t.Errorf("%s: %d at pixel %d,%d of %d×%d, want %d", name, v, i/3%w, i/3/w, w, h, want[i])
				break
			}
		}
	}
}

// TestDjpeg compares with djpeg where it is installed: what its sister programs
// write (scripts/make-jpegs.sh) and what our own encoder does.
func TestDjpeg(t *testing.T) {
	t.Parallel() // it waits for a thousand processes
	for _, program := range []string{"cjpeg", "jpegtran", "djpeg", "bash", "awk"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("no %s here (Debian: libjpeg-turbo-progs): compared with stored sums only", program)
		}
	}
	dir := t.TempDir()
	if out, err := exec.Command("bash", "../../scripts/make-jpegs.sh", dir).CombinedOutput(); err != nil {
		t.Fatalf("make-jpegs.sh: %v\n%s", err, out)
	}
	names, err := filepath.Glob(filepath.Join(dir, "*.jpg"))
	if err != nil || len(names) < 500 {
		t.Fatalf("%d files, %v", len(names), err)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(data, []byte{0xff, 0xc9}) || bytes.Contains(data, []byte{0xff, 0xca}) {
			if _, _, _, err := Decode(data); !errors.Is(err, ErrUnsupported) {
				t.Errorf("%s, arithmetic-coded: %v", name, err)
			}
			continue
		}
		sameAsDjpeg(t, filepath.Base(name), data)
	}
	for seed := range uint64(300) {
		sameAsDjpeg(t, fmt.Sprint("seed ", seed), weird(1000+seed))
	}
}
