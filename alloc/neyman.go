package alloc

import (
	"encoding/json"
	"fmt"
	"math"
)

// Neyman gives n_i ∝ √V̂_i, guessed from what earlier steps showed: the free
// signals of the clean pass say what an item of such a loss usually has, and
// the item's own history how it differs from that.
//
// The usual √V̂ is a regression on (1, ℓ, ℓ², s, s²), ℓ the clean loss and s the
// norm ‖softmax(logits) − onehot‖, by recursive least squares that forgets
// 15% per step. Signals alone, without it, gain less: early in a run all
// variances are alike and shares that follow the loss would only cost, late
// they differ tenfold. The history is the exponential average, with Decay, of
// the ratio √V̂ to that guess over the item's visits (a ratio, because the
// scale of all variances drifts as the model learns), and weighs q/(q+8) after
// q queries against a ratio of 1. V̂ of few queries is noisy: the regression
// weighs an item by its queries. The forgetting and the 8 prior queries are
// ours, chosen on the fine-tuning task.
type Neyman struct {
	o    NeymanOptions
	st   neymanState
	step int                      // of the last Allocate
	seen map[int32][terms]float64 // what it saw of each item
}

// terms of the regression.
const terms = 5

type visit struct {
	Ratio   float64 // averaged √V̂ to the guess
	Queries float64 // that it rests on
}

type neymanState struct {
	History map[int32]visit
	XX      [terms][terms]float64 // normal equations, forgotten slowly
	XY      [terms]float64
	Coef    [terms]float64
	Root    float64 // mean √V̂ of the last step
	Fitted  bool
}

const (
	forget = 0.85
	prior  = 8 // queries that a ratio of 1 counts for
	ridge  = 1e-3
	lowest = 0.1 // a guess is at least this share of the mean √V̂
)

// NeymanOptions of a Neyman.
type NeymanOptions struct {
	Limits
	Decay float64 // weight of the past in the exponential average, in [0, 1); 0.7 is a good one
}

// NewNeyman makes one that has seen nothing. A decay out of range is an
// *OptionError.
func NewNeyman(o NeymanOptions) (*Neyman, error) {
	if !(o.Decay >= 0 && o.Decay < 1) {
		return nil, &OptionError{"Decay", fmt.Sprint(o.Decay),
			"choose it from 0 (the last visit alone) to below 1, such as 0.7"}
	}
	return &Neyman{o: o, st: neymanState{History: map[int32]visit{}}}, nil
}

// Name implements Allocator.
func (n *Neyman) Name() string { return "neyman" }

// Needs implements Allocator: IDs and surprises help, none must be there.
func (n *Neyman) Needs() Need { return Need{} }

// row is what the regression sees of an item: (1, ℓ, ℓ², s, s²), with ℓ cut at
// 20 and s at its largest value √2. A missing surprise is 0.
func row(loss, surprise float64) [terms]float64 {
	l, s := max(0, min(20, loss)), max(0, min(math.Sqrt2, surprise))
	return [terms]float64{1, l, l * l, s, s * s}
}

// guess is the usual √V̂ of an item with these signals.
func (n *Neyman) guess(x [terms]float64) float64 {
	if !n.st.Fitted { // the loss itself, gently: nothing is known yet
		return 1 + 0.1*x[1]
	}
	var v float64
	for k, c := range n.st.Coef {
		v += c * x[k]
	}
	return max(v, lowest*n.st.Root)
}

// Allocate implements Allocator.
func (n *Neyman) Allocate(s Signals, budget int) ([]int, error) {
	return rounded(n, s, budget, n.o.Limits)
}

// Shares implements Shared.
func (n *Neyman) Shares(s Signals) ([]float64, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	loss, surprise := finite(s.Losses), make([]float64, len(s.Losses))
	if len(s.Surprise) > 0 {
		surprise = finite(s.Surprise)
	}
	shares := make([]float64, len(loss))
	n.step, n.seen = s.Step, make(map[int32][terms]float64, len(shares))
	for i := range shares {
		x := row(loss[i], surprise[i])
		shares[i] = n.guess(x)
		if len(s.IDs) == 0 {
			continue
		}
		n.seen[s.IDs[i]] = x
		if h, ok := n.st.History[s.IDs[i]]; ok {
			w := h.Queries / (h.Queries + prior)
			shares[i] *= w*h.Ratio + 1 - w
		}
	}
	return shares, nil
}

// Observe adds the step to the histories and then to the regression.
func (n *Neyman) Observe(f Feedback) {
	if n.step != f.Step {
		return
	}
	st := &n.st
	for a := range terms {
		st.XY[a] *= forget
		for b := range terms {
			st.XX[a][b] *= forget
		}
	}
	var sum, count float64
	for i, v := range f.Variance {
		if i >= len(f.IDs) || !(v >= 0) || math.IsInf(v, 1) || f.asked(i) <= 0 {
			continue
		}
		x, ok := n.seen[f.IDs[i]]
		if !ok {
			continue
		}
		r, q := math.Sqrt(v), f.asked(i)
		sum, count = sum+q*r, count+q
		if st.Fitted {
			n.remember(f.IDs[i], r/n.guess(x), q)
		}
		for a := range terms {
			st.XY[a] += q * x[a] * r
			for b := range terms {
				st.XX[a][b] += q * x[a] * x[b]
			}
		}
	}
	if count == 0 || sum == 0 {
		return
	}
	st.Root = sum / count
	st.Coef, st.Fitted = fit(st.XX, st.XY), true
}

// remember averages a visit into an item's history; one that is ten times the
// usual is taken for noise and cut.
func (n *Neyman) remember(id int32, ratio, queries float64) {
	h := n.st.History[id]
	ratio = min(ratio, 10)
	if h.Queries == 0 {
		h.Ratio = ratio
	} else {
		h.Ratio = n.o.Decay*h.Ratio + (1-n.o.Decay)*ratio
	}
	h.Queries += queries
	n.st.History[id] = h
}

// fit solves the normal equations with a little of their diagonal added.
func fit(xx [terms][terms]float64, xy [terms]float64) [terms]float64 {
	a := make([]float64, terms*terms)
	for i := range terms {
		for j := range terms {
			a[i*terms+j] = xx[i][j]
		}
		a[i*terms+i] *= 1 + ridge
	}
	l, _ := cholesky(a, terms, 1e-9)
	b := xy[:]
	solve(l, terms, b)
	return [terms]float64(b)
}

// State implements Allocator. It is JSON.
func (n *Neyman) State() ([]byte, error) { return json.Marshal(n.st) }

// Restore implements Allocator.
func (n *Neyman) Restore(b []byte) error {
	s := neymanState{}
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("alloc: neyman: state: %w", err)
	}
	if s.History == nil {
		s.History = map[int32]visit{}
	}
	n.st = s
	return nil
}
