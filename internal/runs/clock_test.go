package runs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestReadClock: a line that is not whole at the end is left out with a note, one
// in the middle is an error with its line.
func TestReadClock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "clock.csv")
	for text, want := range map[string]string{
		"step,seconds\n1,0.5\n2,0.75\n":    "",
		"step,seconds\n1,0.5\n2,0.75\n3,":  "not whole",
		"step,seconds\n1,0.5\n2,0.75\n3":   "not whole",
		"step,seconds\n1,0.5\nx,1\n2,1\n":  "clock.csv:3",
		"step,seconds\n1,NaN\n2,1\n":       "clock.csv:2",
		"step,seconds\n-1,0.5\n2,0.75\n":   "clock.csv:2",
		"step,seconds\n1,0.5\n2,1e999\n\n": "clock.csv:3",
	} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		r := &Folder{}
		err := r.readClock(path)
		got := strings.Join(r.Notes, " ")
		if err != nil {
			got = err.Error()
		} else if s, ok := r.SecondsAt(2); !ok || s != 0.75 || len(r.Clock) != 2 {
			t.Errorf("%q: %v", text, r.Clock)
		}
		if !strings.Contains(got, want) || (want == "") != (got == "") {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
