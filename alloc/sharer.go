package alloc

import (
	"fmt"

	"github.com/flops-vit/flops/noise"
)

// Part is one of the perturbations of a step, such as that of a site, whose queries
// are shared out by themselves.
type Part struct {
	Key  string  // its name, alike in every step
	Cost float64 // of one query, in any unit; used by SharerOptions.ByCost alone
}

// Seen is what the queries of a part showed.
type Seen struct {
	Key      string
	Share    Share
	Variance []float64 // V̂_i of one direction of each item; NaN of one that was not asked
	Square   float64   // squared norm of the gradient that came of them: what an optimizer divides by
}

// The scopes of a Sharer.
const (
	ByImage = "image" // items differ in their counts, which every part has alike
	BySite  = "site"  // parts differ, and every item has the same of one
	ByBoth  = "both"  // both, with an allocator for every part
)

// SharerOptions of a Sharer.
type SharerOptions struct {
	Limits
	Scope string
	// Least is the least chance of an item to be drawn, as a share of that at equal
	// shares; see Draw.
	Least float64
	// Standardise divides the variances of each part by the running mean of its
	// gradient's square, so that a part whose numbers are large does not decide alone:
	// an optimizer that divides by the same moves it no further.
	Standardise bool
	// ByCost has the parts share the cost of the budget and not its number; a part whose
	// queries cost nothing has the budget itself.
	ByCost bool
	New    func() (Allocator, error) // makes the allocator of a part, or of all of them
}

// Sharer shares a step's budget among its parts, and of each among the items. Within a
// part it is the allocator that it was made with. Among parts it is Neyman's rule for
// totals: with V_is the variances of part s, which its items share optimally, D_s the
// running mean of its gradient's square and cost_s that of a query,
//
//	n_s ∝ mean_i √V_is / √(D_s·cost_s),
//
// of running means over the steps before, at least a tenth of the equal share, and every
// item's least, if that is more than a direction, where the equal share has that. Where
// less than one direction an item is left, items are drawn.
type Sharer struct {
	o     SharerOptions
	inner map[string]Allocator
	parts map[string]*partState
}

// partState is what is known of a part.
type partState struct {
	Root, Square, Weight float64 // running means, and their weight
}

const (
	partKeep  = 0.9 // of running means, per step
	partLeast = 0.1 // of a part's equal share
)

// NewSharer makes one that has seen nothing. An unknown scope, and what the allocator's
// own options are wrong in, are errors.
func NewSharer(o SharerOptions) (*Sharer, error) {
	if o.Scope == "" {
		o.Scope = ByImage
	}
	if o.Scope != ByImage && o.Scope != BySite && o.Scope != ByBoth {
		return nil, &OptionError{"Scope", fmt.Sprintf("%q", o.Scope), "use image, site or both"}
	}
	s := &Sharer{o: o, inner: map[string]Allocator{}, parts: map[string]*partState{}}
	_, err := s.of("")
	return s, err
}

// of is the allocator of a part.
func (s *Sharer) of(key string) (Allocator, error) {
	if s.o.Scope != ByBoth {
		key = ""
	}
	if s.inner[key] == nil {
		a, err := s.o.New()
		if err != nil {
			return nil, err
		}
		s.inner[key] = a
	}
	return s.inner[key], nil
}

// Allocator is that of all parts, or one like those of each.
func (s *Sharer) Allocator() Allocator { return s.inner[""] }

// Share shares out budget queries a part. Where the parts have them alike it returns
// one share; else one for each of parts.
func (s *Sharer) Share(sig Signals, parts []Part, budget int) ([]Share, error) {
	return s.ShareAtMost(sig, parts, budget, 0)
}

// ShareAtMost is Share of a step that may have so many queries in all, of no fewer than
// Least; 0 is any number, which is what parts ask for that share a cost.
func (s *Sharer) ShareAtMost(sig Signals, parts []Part, budget, most int) ([]Share, error) {
	if s.o.Scope == ByImage {
		one, err := s.within("", sig, budget, 0)
		return []Share{one}, err
	}
	totals, err := s.totals(parts, len(sig.Losses), budget, most)
	if err != nil {
		return nil, err
	}
	out := make([]Share, len(parts))
	for k, p := range parts {
		if out[k], err = s.within(p.Key, sig, totals[k], k); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// within shares a part's total among the items.
func (s *Sharer) within(key string, sig Signals, total, part int) (Share, error) {
	_, least := s.o.unit()
	B := len(sig.Losses)
	a, err := s.of(key)
	if err != nil {
		return Share{}, err
	}
	if total >= B*least {
		if s.o.Scope == BySite {
			n, err := equal(B, sig.Step, total, s.o.Limits)
			return Share{Counts: n}, err
		}
		n, err := a.Allocate(sig, total)
		return Share{Counts: n}, err
	}
	shares := ones(B)
	if shared, ok := a.(Shared); ok && s.o.Scope != BySite {
		if shares, err = shared.Shares(sig); err != nil {
			return Share{}, err
		}
	}
	u := noise.Rand(sig.Seed, noise.Alloc, uint32(sig.Step), uint32(2+part)).Float64()
	return Draw(shares, total, s.o.Limits, s.o.Least, u)
}
