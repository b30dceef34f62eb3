package metric

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestDocs: docs/metrics.md has a row of every metric, and says of it what its
// registration does.
func TestDocs(t *testing.T) {
	raw, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	at := 0
	for _, n := range Names() {
		m := Named(n)
		needs, when := m.Needs.String(), "where chosen"
		if m.Least > 0 {
			needs += fmt.Sprintf(", %d or more", m.Least)
		}
		if m.Standard > 0 {
			when = "always"
		}
		row := fmt.Sprintf("\n| `%s` | %s | %s | %s | %s |\n", n, m.About, m.Better, needs, when)
		i := strings.Index(string(raw), row)
		if i < at {
			t.Errorf("the row of %s is not there or not in its place; it is to be%s", n, row)
		}
		at = max(at, i)
	}
}
