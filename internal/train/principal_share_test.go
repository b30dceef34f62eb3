package train

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/internal/testkit"
	"github.com/flops-vit/flops/noise"
)

// TestDirectionsKeep: the directions of cores keep more of the energy of backpropagation's
// gradient by the weights than drawn ones do, on each side; at the inputs, and on both
// sides together, more than the singular vectors of W₀. With FLOPS_TEST_FULL=1 it prints
// the table of docs/method.md, of 256 images at three steps, and else of 64 at one.
func TestDirectionsKeep(t *testing.T) {
	if testing.Short() {
		t.Skip("trains a model: not in short mode")
	}
	shared := filepath.Dir(testkit.Shared(t, "models"))
	file := filepath.Join("..", "..", "configs", "signs10-lora.yaml")
	t.Setenv("FLOPS_SHARED", shared)
	opened := func(sets ...string) *Experiment {
		r, err := config.Load(file, sets)
		testkit.Must(t, err)
		return open(t, r.Config)
	}
	const rank = 16
	cores := opened("sites.train=core", fmt.Sprint("sites.rank=", rank), "train.seed=0").cores.by
	bp := []string{"estimator.name=bp", "estimator.schedule=", "optimizer.lr=3e-3", "optimizer.schedule=constant"}
	x := opened(bp...)
	tr, m := NewTrainer(x), opened(append(bp, "sites.train=all")...).Model // which has gradients by whole weights
	d, _ := forward.As[query.Differentiable](m)
	begun := map[int][]float32{} // W₀
	for i := range cores {
		begun[i] = append([]float32(nil), m.Params()[i].Data...)
	}
	steps, batches := []int{5}, 1
	if os.Getenv("FLOPS_TEST_FULL") != "" {
		steps, batches = []int{5, 25, 60}, 4
	}
	kinds := []string{"query", "key", "value", "attn_out", "mlp_in", "mlp_out"}
	table := map[string][]string{}
	for _, step := range steps {
		for tr.Step < step {
			_, err := tr.TakeStep(t.Context(), x.Config.QueriesAt(tr.Step))
			testkit.Must(t, err)
		}
		for i, p := range m.Params() {
			copy(p.Data, x.Model.Params()[i].Data)
			clear(p.Grad)
		}
		m.(interface{ Reload() }).Reload()
		sums := map[int][]float64{}
		for k := range batches { // of 64
			b, err := x.Loader.Batch(1000 + k)
			testkit.Must(t, err)
			_, err = d.Backward(t.Context(), b)
			testkit.Must(t, err)
			for i := range cores {
				if sums[i] == nil {
					sums[i] = make([]float64, len(m.Params()[i].Grad))
				}
				for j, v := range m.Params()[i].Grad {
					sums[i][j] += float64(v)
				}
				clear(m.Params()[i].Grad)
			}
		}
		kept := map[string]float64{} // by what and kind, of six blocks
		for _, s := range m.Sites() {
			of, ok := cores[s.Weight]
			if !ok {
				continue
			}
			g := mat.NewDense(s.Out, s.In, sums[s.Weight])
			var svd mat.SVD
			svd.Factorize(mat.NewDense(s.Out, s.In, testkit.Float64s(begun[s.Weight])), mat.SVDThin)
			var u, v mat.Dense
			svd.UTo(&u)
			svd.VTo(&v)
			l, r := mat.NewDense(rank, s.Out, testkit.Float64s(of.Left)), mat.NewDense(rank, s.In, testkit.Float64s(of.Right))
			sides := map[string][2]mat.Matrix{"as shipped": {l, r},
				"singular vectors of W": {u.Slice(0, s.Out, 0, rank).T(), v.Slice(0, s.In, 0, rank).T()},
				"drawn":                 {drawn(s.Out, rank, 1), drawn(s.In, rank, 2)}}
			all := energy(g)
			for name, side := range sides {
				var lg, gr, both mat.Dense
				lg.Mul(side[0], g)
				gr.Mul(g, side[1].T())
				both.Mul(&lg, side[1].T())
				kind := s.Kind
				kept["L "+name+" "+kind] += energy(&lg) / all / 6
				kept["R "+name+" "+kind] += energy(&gr) / all / 6
				kept["both "+name] += energy(&both)
			}
			kept["all"] += all
		}
		for _, side := range []string{"R", "L"} {
			for _, name := range []string{"as shipped", "singular vectors of W", "drawn"} {
				for _, kind := range kinds {
					k := side + " " + name
					table[k] = append(table[k], fmt.Sprintf("%.2f", kept[k+" "+kind]))
				}
			}
			for _, kind := range kinds {
				a, b, c := kept[side+" as shipped "+kind], kept[side+" singular vectors of W "+kind], kept[side+" drawn "+kind]
				if a < 1.2*c || side == "R" && a < 1.5*b {
					t.Errorf("step %d, %s of %s: %.2f, singular vectors %.2f, drawn %.2f", step, side, kind, a, b, c)
				}
			}
		}
		all := func(name string) float64 { return kept["both "+name] / kept["all"] }
		if all("as shipped") < 2*all("singular vectors of W") {
			t.Errorf("step %d: both sides keep %.2f", step, all("as shipped"))
		}
		t.Logf("step %d, both sides, all maps: %.2f, singular vectors of W %.2f, drawn %.3f",
			step, all("as shipped"), all("singular vectors of W"), all("drawn"))
	}
	t.Logf("%-26s %s", "", strings.Join(kinds, " "))
	for _, side := range []string{"R", "L"} {
		for _, name := range []string{"as shipped", "singular vectors of W", "drawn"} {
			var cells []string
			for k := range kinds {
				var at []string
				for s := range steps {
					at = append(at, table[side+" "+name][s*len(kinds)+k])
				}
				cells = append(cells, strings.Join(at, " "))
			}
			t.Logf("%s %-24s| %s", side, name, strings.Join(cells, " | "))
		}
	}
}

// energy is the sum of the squares.
func energy(m mat.Matrix) float64 {
	n := mat.Norm(m, 2)
	if math.IsNaN(n) {
		panic("no number")
	}
	return n * n
}

// drawn are orthonormal directions that no image has a say in.
func drawn(width, rank int, seed uint64) mat.Matrix {
	g := noise.Rand(seed, noise.Init, 7)
	v := make([]float64, width*rank)
	for i := range v {
		v[i] = g.Normal()
	}
	var qr mat.QR
	qr.Factorize(mat.NewDense(width, rank, v))
	var q mat.Dense
	qr.QTo(&q)
	return q.Slice(0, width, 0, rank).T()
}
