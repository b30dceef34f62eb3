package allocator

import (
	"github.com/flops-vit/flops/alloc"
)

// Sharing is how a config shares a step's queries among its passes and images.
type Sharing struct {
	Scope       string // image, site or both
	LeastChance float64
	Standardise bool
	ByCost      bool // the budget is one of operations
}

// NewSharer makes what shares out by the allocator of a name.
func NewSharer(name string, o Options, s Sharing) (*alloc.Sharer, error) {
	share, err := alloc.NewSharer(alloc.SharerOptions{Limits: o.Limits(), Scope: s.Scope, Least: s.LeastChance,
		Standardise: s.Standardise, ByCost: s.ByCost, New: func() (alloc.Allocator, error) { return New(name, o) }})
	return share, o.told(err)
}
