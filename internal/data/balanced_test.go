package data

import (
	"slices"
	"testing"

	"github.com/flops-vit/flops/internal/config"
)

// Balanced takes as many images of every class, the same for the same seed and
// others for another.
func TestBalanced(t *testing.T) {
	c := config.Default().Data
	c.Kind, c.Count, c.TestCount, c.Size = "shapes", 40, 60, 8
	ds, err := Open(c, Test)
	if err != nil {
		t.Fatal(err)
	}
	paths := func(d Dataset) (out []string) {
		for i := range d.Len() {
			out = append(out, d.Info(i).Path)
		}
		return out
	}
	classes := len(ds.Classes())
	small := Balanced(ds, 3*classes+1, 5)
	counts := Counts(small)
	slices.Sort(counts)
	if small.Len() != 3*classes+1 || counts[0] != 3 || counts[classes-1] != 4 {
		t.Errorf("%d images, by class %v", small.Len(), counts)
	}
	if !slices.Equal(paths(small), paths(Balanced(ds, 3*classes+1, 5))) {
		t.Error("two answers for one seed")
	}
	if slices.Equal(paths(small), paths(Balanced(ds, 3*classes+1, 6))) {
		t.Error("the seed decides nothing")
	}
	if Balanced(ds, 0, 5).Len() != 60 || Balanced(ds, 60, 5).Len() != 60 || Balanced(ds, 600, 5).Len() != 60 {
		t.Error("0, all or more are not all")
	}
	if n := Balanced(ds, 59, 5).Len(); n != 59 ||
		len(slices.Compact(slices.Sorted(slices.Values(paths(Balanced(ds, 59, 5)))))) != 59 {
		t.Errorf("%d images of 59, or one twice", n)
	}
}
