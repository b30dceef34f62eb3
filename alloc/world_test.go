package alloc

import (
	"math"
	"testing"

	"github.com/flops-vit/flops/noise"
)

// world is a synthetic training set: images whose log-losses are normal and
// whose √V follows the loss with a part of its own, as on the fine-tuning task,
// where the optimum is near 0.6 of equal shares. A query's c_i is normal, so
// that V̂ of n queries has the relative variance 2/n.
type world struct {
	g    *noise.Generator
	root []float64
	loss []float32
}

const (
	worldImages = 400
	worldBatch  = 64
)

func newWorld(seed uint64) *world {
	w := &world{g: noise.Rand(seed, noise.Test, 1)}
	for range worldImages {
		z := w.g.Normal()
		w.loss = append(w.loss, float32(math.Exp(0.9*z)))
		w.root = append(w.root, math.Exp(0.7*z+0.35*w.g.Normal()))
	}
	return w
}

// clone is the generator in the same place of its stream.
func (w *world) clone() *noise.Generator { c := *w.g; return &c }

// batch draws the images of a step.
func (w *world) batch(step int) Signals {
	s := Signals{Step: step, Seed: 9, Dim: 2}
	for range worldBatch {
		i := w.g.Intn(worldImages)
		l := w.loss[i]
		s.IDs, s.Losses = append(s.IDs, int32(i)), append(s.Losses, l)
		s.Surprise = append(s.Surprise, float32(math.Sqrt2*(1-math.Exp(-float64(l)))))
		s.Features = append(s.Features, float32(math.Log(float64(l))), float32(i%7))
	}
	return s
}

// step lets an allocator share out one step and shows it what its queries show;
// it returns the counts and the true variance ratio.
func (w *world) step(t testing.TB, a Allocator, step, queries int) ([]int, float64) {
	t.Helper()
	s := w.batch(step)
	n, err := a.Allocate(s, worldBatch*queries)
	if err != nil {
		t.Fatal(err)
	}
	V, hat := make([]float64, worldBatch), make([]float64, worldBatch)
	for i, id := range s.IDs {
		V[i] = w.root[id] * w.root[id]
		for range n[i] / 2 {
			c := w.g.Normal()
			hat[i] += V[i] * c * c / float64(n[i]/2)
		}
	}
	a.Observe(Feedback{Step: step, IDs: s.IDs, Counts: n, Variance: hat})
	return n, Ratio(V, n)
}

// run is the mean ratio over the steps from..to.
func (w *world) run(t testing.TB, a Allocator, from, to int) float64 {
	t.Helper()
	var sum float64
	for step := from; step < to; step++ {
		_, r := w.step(t, a, step, 20)
		sum += r
	}
	return sum / float64(to-from)
}

// optimum is what Neyman's shares of the true variances would reach.
func (w *world) optimum() float64 {
	var sum, sq float64
	for _, r := range w.root {
		sum, sq = sum+r, sq+r*r
	}
	return sum * sum / (worldImages * sq)
}
