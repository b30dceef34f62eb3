package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/flops-vit/flops/internal/cluster"
)

// TestRunsFitATerminal: whatever runs and workers are called, and however much they did, their
// table has 80 columns.
func TestRunsFitATerminal(t *testing.T) {
	long := strings.Repeat("very-long-name-", 5)
	stats := cluster.Stats{Own: 987654321987, Queries: 123456789123, Wasted: 1234567890, Tasks: 123456789, Copies: 1234567,
		Up: 123 << 30, Down: 4567 << 30}
	m := cluster.Member{Name: long + "/1234567", Kernel: "portable and more", Threads: 128, Step: 1, Tasks: 123456789,
		Queries: 123456789123}
	runs := []cluster.Status{
		{Run: long, Host: long, Step: 123456, Of: 1234567, Loss: 12.3456, Rate: 1e9, Seconds: 1e6, Stats: stats,
			Members: []cluster.Member{m, {Name: "b/2"}}},
		{Run: "short", Whole: true, Step: 3, Of: 9, Members: []cluster.Member{m}},
		{Run: "empty"},
	}
	var b bytes.Buffer
	if err := printRuns(&b, runs); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(b.String()) {
		if len(line) > 81 {
			t.Errorf("%d columns: %s", len(line)-1, line)
		}
	}
	for _, want := range []string{"/1234567", "3 of 9 runs", "no workers"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in\n%s", want, b.String())
		}
	}
	t.Log("\n" + b.String())
}
