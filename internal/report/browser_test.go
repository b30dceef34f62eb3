package report

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"
)

// phone loads a page as a telephone would, 390 pixels wide, and writes down
// what the browser made of it.
const phone = `<!doctype html><body><iframe id="f" src="page.html" width="390" height="800"></iframe><script>
const f = document.getElementById("f");
f.onload = () => {
  const d = f.contentDocument, img = [...d.images];
  document.body.textContent = "wide=" + d.documentElement.scrollWidth + " height=" + d.documentElement.scrollHeight +
    " charts=" + [...d.querySelectorAll("svg")].filter(s => s.getBoundingClientRect().width > 100).length +
    " broken=" + img.filter(i => i.complete && i.naturalWidth == 0).length + ";";
};
</script></body>`

var seen = regexp.MustCompile(`wide=(\d+) height=(\d+) charts=(\d+) broken=(\d+);`)

// browser is a Chromium, or "" where there is none.
func browser() string {
	for _, n := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if p, err := exec.LookPath(n); err == nil {
			return p
		}
	}
	return ""
}

// TestInBrowser: a real browser lays every page out on a telephone's width
// without a scroll bar to the side, with its charts and images, and has nothing
// to complain about.
func TestInBrowser(t *testing.T) {
	chrome := browser()
	if chrome == "" {
		t.Skip("no chromium on this machine: the pages are not looked at in a browser")
	}
	if testing.Short() {
		t.Skip("a browser takes seconds")
	}
	for name, write := range map[string]func(io.Writer) error{
		"allocation": sampleAllocation().Write, "run": sampleRun().Write, "compare": sampleCompare().Write,
	} {
		dir := t.TempDir()
		var page bytes.Buffer
		if err := write(&page); err != nil {
			t.Fatal(err)
		}
		for file, text := range map[string][]byte{"page.html": page.Bytes(), "frame.html": []byte(phone)} {
			if err := os.WriteFile(filepath.Join(dir, file), text, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		c := exec.CommandContext(ctx, chrome, "--headless", "--no-sandbox", "--disable-gpu", "--disable-web-security",
			"--allow-file-access-from-files",
			"--user-data-dir="+filepath.Join(dir, "profile"), "--enable-logging=stderr", "--v=0", "--virtual-time-budget=5000",
			"--dump-dom", "file://"+filepath.Join(dir, "frame.html"))
		var said bytes.Buffer
		c.Stderr = &said
		out, err := c.Output()
		if err != nil {
			t.Skipf("%s does not run here: %v", chrome, err)
		}
		m := seen.FindStringSubmatch(string(out))
		if m == nil {
			t.Fatalf("%s: the browser shows no page:\n%s\n%s", name, out, &said)
		}
		n := make([]int, len(m))
		for i := range m {
			n[i], _ = strconv.Atoi(m[i])
		}
		if n[1] > 390 || n[2] < 1000 || n[3] < 1 || n[4] != 0 {
			t.Errorf("%s: %s, want at most 390 wide, a page's height, charts and no broken image", name, m[0])
		}
		if i := bytes.Index(said.Bytes(), []byte("CONSOLE")); i >= 0 {
			t.Errorf("%s: the browser complains: %s", name, fmt.Sprintf("%.300s", said.Bytes()[i:]))
		}
	}
}
