package report

import (
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// written are the three pages of the tool.
func written(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for name, write := range map[string]func(io.Writer) error{
		"allocation": sampleAllocation().Write, "run": sampleRun().Write, "compare": sampleCompare().Write,
	} {
		var b strings.Builder
		if err := write(&b); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out[name] = b.String()
	}
	return out
}

var (
	styles   = regexp.MustCompile(`(?s)<style>.*?</style>`)
	drawings = regexp.MustCompile(`(?s)(<svg[^>]*>).*?</svg>`)
	void     = regexp.MustCompile(`(<(?:meta|input)\b[^>]*)>`)
	dataURI  = regexp.MustCompile(`data:image/png;base64,[A-Za-z0-9+/=]+`)
)

// skeleton is a page without its styles and the inside of its drawings.
func skeleton(page string) string {
	page = drawings.ReplaceAllString(styles.ReplaceAllString(page, "<style></style>"), "$1</svg>")
	return strings.ReplaceAll(dataURI.ReplaceAllString(page, "data:…"), "><", ">\n<")
}

// The structure of the pages, against files that `go test -update` writes anew.
func TestGolden(t *testing.T) {
	for name, page := range written(t) {
		file, got := filepath.Join("testdata", name+".golden"), skeleton(page)
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if g, w := strings.Split(got, "\n"), strings.Split(strings.ReplaceAll(string(want), "\r\n", "\n"),
			"\n"); got != strings.Join(w, "\n") {
			for i := range min(len(g), len(w)) {
				if g[i] != w[i] {
					t.Fatalf("%s line %d:\n got %s\nwant %s", file, i+1, g[i], w[i])
				}
			}
			t.Fatalf("%s: %d lines, want %d", file, len(g), len(w))
		}
	}
}

// A page loads nothing: every address in it is a data URI or points into itself.
func TestSelfContained(t *testing.T) {
	address := regexp.MustCompile(`(?i)(?:href|src|srcset|action|data|poster)\s*=\s*"([^"]*)"|url\(([^)]*)\)|@import`)
	for name, page := range written(t) {
		for _, m := range address.FindAllStringSubmatch(page, -1) {
			if a := m[1] + m[2]; !strings.HasPrefix(a, "#") && !strings.HasPrefix(a, "data:image/png;base64,") {
				t.Errorf("%s loads %.60s", name, m[0])
			}
		}
		for _, bad := range []string{"http:", "https:", "<script", "<link", "<iframe", "NaN", "Inf", "ZgotmplZ"} {
			if strings.Contains(page, bad) {
				t.Errorf("%s holds %s", name, bad)
			}
		}
		if !strings.Contains(page, `content="default-src 'none'; img-src data:; style-src 'unsafe-inline'"`) {
			t.Errorf("%s has no content security policy", name)
		}
	}
}

// Every element that is opened is closed, in order.
func TestBalanced(t *testing.T) {
	for name, page := range written(t) {
		if err := balanced(page); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func balanced(page string) error {
	page = strings.NewReplacer("<!DOCTYPE html>", "", " checked>", ` checked="">`).Replace(styles.ReplaceAllString(page,
		""))
	d := xml.NewDecoder(strings.NewReader(void.ReplaceAllString(page, "$1/>")))
	d.Entity = xml.HTMLEntity
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("at byte %d: %w", d.InputOffset(), err)
		}
	}
}

// Names come from files and configs: none may become markup, anywhere.
func TestHostileNames(t *testing.T) {
	const evil = `"><script>alert(1)</script><img src=x onerror='a'>&lt;</svg></style>`
	a, r, c := sampleAllocation(), sampleRun(), sampleCompare()
	a.Title, a.Lead, a.Config, a.Facts, a.Env = evil, evil, evil, Facts{{evil, evil}}, Facts{{evil, evil}}
	for i := range a.Images {
		a.Images[i].Label, a.Images[i].Path = evil, evil
		a.Images[i].Counts[evil] = 3
	}
	a.Allocators[1].Name = evil
	r.Title, r.Ledger[0].Purpose, r.Hardest[0].Label, r.Hardest[0].Path = evil, evil, evil, evil
	for i := range c.Arms {
		c.Arms[i].Name = evil
	}
	for name, write := range map[string]func(io.Writer) error{"allocation": a.Write, "run": r.Write, "compare": c.Write} {
		var b strings.Builder
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		page := b.String()
		if strings.Contains(page, "<script") || strings.Contains(page, "<img") || strings.Contains(page, "onerror='") {
			t.Errorf("%s: a name became markup", name)
		}
		if !strings.Contains(page, "&lt;script&gt;") {
			t.Errorf("%s: the name is not shown", name)
		}
		if err := balanced(page); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A run that has only begun, or failed, still makes a page.
func TestEmptyPages(t *testing.T) {
	for name, write := range map[string]func(io.Writer) error{
		"allocation": AllocationReport{}.Write, "run": RunReport{}.Write, "compare": CompareReport{}.Write,
		"no image": AllocationReport{Images: []AllocatedImage{{}}, Allocators: []AllocatorRow{{Name: "uniform"}}}.Write,
	} {
		var b strings.Builder
		if err := write(&b); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if err := balanced(b.String()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestGalleryOrder(t *testing.T) {
	r := sampleAllocation()
	g := r.gallery()
	if g.Tabs[len(g.Tabs)-1].Name != "uniform" {
		t.Errorf("the control is not the last tab: %v", g.Tabs)
	}
	for _, tab := range g.Tabs {
		last := 1 << 30
		for _, s := range g.Order(tab) {
			if s.Queries > last || s.Queries != r.Images[s.Index].Counts[tab.Name] {
				t.Fatalf("%s: image %d with %d queries after %d", tab.Name, s.Index, s.Queries, last)
			}
			last = s.Queries
		}
	}
}

func TestSpread(t *testing.T) {
	if got, want := SpreadOf(7, []int{8, 2, 4, 6, 100}), (Spread{7, 2, 4, 6, 8, 100}); got != want {
		t.Errorf("%v, want %v", got, want)
	}
	if got, want := SpreadOf(1, []int{2, 4}), (Spread{1, 2, 2.5, 3, 3.5, 4}); got != want {
		t.Errorf("%v, want %v", got, want)
	}
	if got := SpreadOf(3, nil); got != (Spread{Step: 3}) {
		t.Errorf("nothing: %v", got)
	}
}

// A model that is only called has queries and seconds, and no operations that
// anybody counts: its pages do not draw them as zero.
func TestWithoutOperations(t *testing.T) {
	run, cmp := sampleRun(), sampleCompare()
	for i := range run.Ledger {
		run.Ledger[i].FLOPs = 0
	}
	for i := range cmp.Arms {
		cmp.Arms[i].FLOPs = 0
	}
	if rows := run.bars().Rows; len(rows) != 2 || rows[0].Name != "queries" || rows[1].Name != "time" {
		t.Errorf("bars of %d rows", len(rows))
	}
	for name, write := range map[string]func(io.Writer) error{"run": run.Write, "compare": cmp.Write} {
		var page strings.Builder
		if err := write(&page); err != nil {
			t.Fatal(err)
		}
		for _, bad := range []string{"0 FLOP", "against operations", "read by operations"} {
			if strings.Contains(page.String(), bad) {
				t.Errorf("%s: the page says %q", name, bad)
			}
		}
	}
}
