package report

import (
	"bytes"
	"strings"
	"testing"
)

// TestMachines: a page tells of the machines of a run that had some, and of no others.
func TestMachines(t *testing.T) {
	r := RunReport{Title: "x"}
	page := func() string {
		var b bytes.Buffer
		if err := r.Write(&b); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	if strings.Contains(page(), "Machines") {
		t.Error("a run of one machine tells of others")
	}
	r.Sharing = []SharePoint{{Step: 1, Workers: 3, Queries: 10, Own: 10, Up: 100},
		{Step: 5, Workers: 2, Lag: 1, Tasks: 40, Copies: 3, Queries: 75, Own: 25, Wasted: 7, Verified: 4, Lost: 1,
			Up: 5 << 10, Down: 3 << 20}}
	for _, want := range []string{"Machines", "75 (75%)", "5.0 KB", "3.0 MB", "1, 0", "Steps that the slowest is behind"} {
		if !strings.Contains(page(), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}
