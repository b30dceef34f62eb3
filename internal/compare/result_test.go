package compare

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/flops-vit/flops/internal/runs"
)

// TestCurve: evaluations are taken off the queries, and the last evaluation of a
// run that its budget ended is a point of its own, whatever it measured.
func TestCurve(t *testing.T) {
	path := filepath.Join(t.TempDir(), "metrics.jsonl")
	if err := os.WriteFile(path, []byte(`{"step":1,"queries":100}
{"step":2,"queries":250,"eval":{"top1":0.25,"loss":1.5,"images":50}}
{"step":3,"queries":350}
{"step":4,"queries":500,"eval":{"top1":0.5,"loss":1.25,"images":50}}
{"step":5,"queries":600}
`), 0o644); err != nil {
		t.Fatal(err)
	}
	clock := []runs.Tick{{Step: 2, Seconds: 0.5}, {Step: 4, Seconds: 1}, {Step: 5, Seconds: 1.5}}
	along := []Point{{2, 200, 0.25, 1.5, 0.5}, {4, 400, 0.5, 1.25, 1}}
	for _, c := range []struct {
		what string
		end  Result
		want []Point
	}{
		{"ended at an evaluation", Result{Steps: 4, Queries: 400, Accuracy: 0.5}, along},
		{"ended after one", Result{Steps: 5, Queries: 500, Accuracy: 0.75}, append(along, Point{5, 500, 0.75, 0, 1.5})},
		{"ended after one with the same accuracy", Result{Steps: 5, Queries: 500, Accuracy: 0.5},
			append(along, Point{5, 500, 0.5, 0, 1.5})},
	} {
		got, err := curve(filepath.Dir(path), &c.end, clock)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, %v", c.what, got, err)
		}
	}
}
