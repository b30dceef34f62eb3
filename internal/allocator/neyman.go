package allocator

import (
	"encoding/json"
	"fmt"
	"math"
)

func init() {
	Register("neyman", func(o Options) (Allocator, error) {
		return &neyman{o: o, st: neymanState{History: map[int32]visit{}}}, nil
	})
}

// neyman gives n_i ∝ √V̂_i with V̂_i from the image's own earlier visits: an
// exponential average of √V̂ with Decay, kept by dataset position. An image that
// has not been seen uses the free signal surprise·scale, multiplied by the
// running ratio of history to signal so that both have one unit.
//
// The average of one or two visits is noisy and the signal is not, so they are
// mixed: history weighs k/(k+1) after k visits. That prior weight of one visit
// is ours.
type neyman struct {
	o    Options
	st   neymanState
	free map[int32]float64 // signal of the images of the last Allocate
}

type visit struct {
	Root  float64 // averaged √V̂
	Count int
}

type neymanState struct {
	History map[int32]visit
	Ratio   float64 // of √V̂ to the free signal, averaged
}

func (n *neyman) Name() string { return "neyman" }

func (n *neyman) Needs() Need { return Need{} }

// signal is the free guess of √V_i.
func signal(s Signals, i int) float64 {
	v := math.Sqrt(max(0, float64(s.Losses[i])))
	if len(s.Surprise) > i {
		v = float64(s.Surprise[i])
	}
	if len(s.Scale) > i && s.Scale[i] > 0 {
		v *= float64(s.Scale[i])
	}
	return v
}

func (n *neyman) Allocate(s Signals, budget int) ([]int, error) {
	shares := make([]float64, len(s.Losses))
	n.free = make(map[int32]float64, len(shares))
	ratio := n.st.Ratio
	if ratio == 0 {
		ratio = 1
	}
	for i := range shares {
		f := signal(s, i)
		shares[i] = f * ratio
		if i < len(s.IDs) {
			n.free[s.IDs[i]] = f
			if h, ok := n.st.History[s.IDs[i]]; ok {
				w := float64(h.Count) / float64(h.Count+1)
				shares[i] = w*h.Root + (1-w)*f*ratio
			}
		}
	}
	return Round(shares, budget, n.o.MinQueries, n.o.Even)
}

func (n *neyman) Observe(f Feedback) {
	var root, free float64
	for i, v := range f.Variance {
		if i >= len(f.IDs) || !(v >= 0) || math.IsInf(v, 1) {
			continue
		}
		r, id := math.Sqrt(v), f.IDs[i]
		root, free = root+r, free+n.free[id]
		h := n.st.History[id]
		if h.Count == 0 {
			h.Root = r
		} else {
			h.Root = n.o.Decay*h.Root + (1-n.o.Decay)*r
		}
		h.Count++
		n.st.History[id] = h
	}
	if free > 0 && root > 0 {
		if n.st.Ratio == 0 {
			n.st.Ratio = root / free
		} else {
			n.st.Ratio = 0.9*n.st.Ratio + 0.1*root/free
		}
	}
}

func (n *neyman) State() ([]byte, error) { return json.Marshal(n.st) }

func (n *neyman) Restore(b []byte) error {
	s := neymanState{}
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("allocator neyman: state: %w", err)
	}
	if s.History == nil {
		s.History = map[int32]visit{}
	}
	n.st = s
	return nil
}
