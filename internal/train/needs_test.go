package train

import (
	"strings"
	"testing"

	"github.com/flops-vit/flops/internal/allocator"
	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/uierr"
)

// An allocator that looks at features is refused for a model that shows none,
// before a query is asked; with the loss as its feature it is not.
func TestAllocatorThatCannotSee(t *testing.T) {
	h, url := serveModel(t, sums{})
	c := config.Origin()
	c.Model.Kind, c.Model.URL, c.Model.Name = "remote", url, "sums"
	c.Data.Kind, c.Data.Size, c.Data.Count, c.Data.TestCount = "shapes", 16, 32, 16
	c.Prompt.Kind, c.Prompt.Width = "frame", 2
	c.Sites = config.Sites{Blocks: "none"}
	c.Estimator.Name, c.Allocator.Name, c.Train.BatchSize = "weight", "gaussian", 8
	_, err := Open(c, nil)
	if e, ok := uierr.As(err); !ok || !strings.Contains(e.What, "allocator.features: a remote model") ||
		e.Hint != "set allocator.features: loss" {
		t.Errorf("%v", err)
	}
	c.Allocator.Own = allocator.Features.With(c.Allocator.Own, "loss")
	x, err := Open(c, nil)
	if err != nil {
		t.Fatal(err)
	}
	x.Close()
	if n := h.Stats().Images; n != 0 {
		t.Errorf("%d images were asked about", n)
	}
}
