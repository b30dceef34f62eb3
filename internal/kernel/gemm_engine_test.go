package kernel

import (
	"strings"
	"testing"
)

// TestBrokenKernelIsLeftOut gives an engine a micro-kernel that is wrong in one
// element of its tile of two rows.
func TestBrokenKernelIsLeftOut(t *testing.T) {
	broken := *portable
	broken.name = "broken"
	broken.tile = []tileFunc{nil, tile1x4Portable, func(a *tileArgs) {
		tile2x4Portable(a)
		*(*float32)(a.c) += 1e-3
	}}
	usable, failed := checked([]*engine{&broken, portable})
	if len(usable) != 1 || usable[0] != portable || len(failed) != 1 || failed[0] != "broken" {
		t.Fatalf("usable %v, failed %v", names(usable), failed)
	}
	if e, note := pick(usable, failed, ""); e != portable || !strings.Contains(note, "broken failed the start-up check") {
		t.Errorf("picked %s, saying %q", e.name, note)
	}
}

func TestPick(t *testing.T) {
	usable := []*engine{gonumEngine, portable}
	for _, c := range []struct {
		env  string
		want *engine
		note string
	}{
		{"", gonumEngine, ""},
		{"portable", portable, ""},
		{"abacus", gonumEngine, " (FLOPS_KERNEL=abacus is none of gonum, portable)"},
	} {
		if e, note := pick(usable, nil, c.env); e != c.want || note != c.note {
			t.Errorf("FLOPS_KERNEL=%q picks %s, saying %q", c.env, e.name, note)
		}
	}
}

func TestSelect(t *testing.T) {
	if err := Select("abacus"); err == nil {
		t.Error("an unknown engine was selected")
	}
	forEachEngine(t, func(t *testing.T) {
		if want := active().name; !strings.HasPrefix(Describe(), want) {
			t.Errorf("Describe() = %q while %s is selected", Describe(), want)
		}
	})
}
