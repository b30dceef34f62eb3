package forward

import (
	"fmt"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/flops-vit/flops/noise"
)

// TestLinearByHand: over some steps a Jacobian learned of losses, and one learned of all
// outputs, are those of docs/method.md written down once more, with running means, damping,
// and an image whose leverage is held to twice the mean.
func TestLinearByHand(t *testing.T) {
	const C, W, B, gain = ladderClasses, ladderWidth, 6, 0.5
	for _, changes := range []bool{false, true} {
		g, m := noise.Rand(6, noise.Test), newLadder(2, B, 1)
		draw := func(n int) []float32 {
			v := make([]float32, n)
			for k := range v {
				v[k] = float32(g.Normal())
			}
			return v
		}
		j := &jacobian{Anchor: Anchor{Name: "a", Width: W}, taught: true}
		l := &Linear{gain: gain, kappa: 1, sites: map[int]*followed{0: {anchor: j}}, anchors: map[string]*jacobian{"a": j}}
		want, d, S, seen, held := make([]float64, C*W), make([]float64, W), mat.NewDense(C, C, nil), 0.0, 0
		for step := range 4 {
			// the last image is asked once, and has an error far beyond the others'
			m.e = append(draw((B-1)*C), 9, -12, 15)
			x := &Guess{Pushed: draw(B * W), Spread: []float32{1, 2, 0.5, 3}}
			for i, n := range []int{4, 4, 3, 5, 2, 1} {
				for p := range n {
					x.Queries = append(x.Queries, Query{Image: int32(i), Pair: int32(p), Sign: 1})
				}
			}
			n := len(x.Queries)
			x.Coefs, x.Left = draw(n), draw(n)
			if changes {
				x.Pushed, x.Carried, x.Changes = nil, draw(n*W), draw(n*C)
			}
			c := &Clean{Losses: make([]float32, B), Logits: make([]float32, B*C), Classes: C, Loss: ladderLoss{m}}
			if err := l.Learn(&Step{Batch: &Batch{Size: B}, Clean: c}, []*Guess{x}); err != nil {
				t.Fatal(err)
			}
			seen = 0.9*seen + 0.1
			mean := func(v []float64) (s float64) {
				for _, x := range v {
					s += x / seen / float64(len(v))
				}
				return s
			}
			S.Scale(0.9, S)
			for _, q := range x.Queries {
				e := mat.NewVecDense(C, doubles(m.e[int(q.Image)*C:][:C]))
				S.RankOne(S, 0.1/float64(n), e, e)
			}
			for k, v := range x.Spread {
				d[k] = 0.9*d[k] + 0.1*float64(v)
			}
			damped := mat.DenseCopyOf(S)
			damped.Scale(1/seen, S)
			for c := range C {
				damped.Set(c, c, damped.At(c, c)+0.03*mat.Trace(S)/seen/C)
			}
			add, eta := mat.NewDense(C, W, nil), gain/(1+(C-1)*W/float64(n))
			if changes {
				eta = gain / (1 + W/float64(n))
				J := mat.NewDense(C, W, want)
				for p := range n {
					eps, rest := mat.NewVecDense(W, doubles(x.Carried[p*W:][:W])), mat.NewVecDense(C, nil)
					rest.MulVec(J, eps)
					rest.SubVec(mat.NewVecDense(C, doubles(x.Changes[p*C:][:C])), rest)
					add.RankOne(add, 1, rest, eps)
				}
			} else {
				for i := range B {
					e, y := mat.NewVecDense(C, doubles(m.e[i*C:][:C])), mat.NewVecDense(C, nil)
					if err := y.SolveVec(damped, e); err != nil {
						t.Fatal(err)
					}
					w := 1.0
					if lever := mat.Dot(e, y); lever > 2*C {
						w, held = 2*C/lever, held+1
					}
					add.RankOne(add, w, y, mat.NewVecDense(W, doubles(x.Pushed[i*W:][:W])))
				}
			}
			for k := range want {
				want[k] += eta / float64(n) * add.At(k/W, k%W) / (d[k%W]/seen + 0.03*mean(d))
			}
			same(t, fmt.Sprintf("of outputs %v, step %d", changes, step), j.j, want)
		}
		if !changes && held != 4 {
			t.Errorf("the leverage of %d images was held, want that of one in each step", held)
		}
	}
}
