package train

import (
	"fmt"
	"math"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/parts"
	"github.com/flops-vit/flops/internal/testkit"
	"github.com/flops-vit/flops/internal/vit"
)

// TestPrincipal: at the inputs of every map lie the leading directions of the rows that it
// reads, and at its outputs those of what comes next: per head of the keys of queries and
// of the queries of keys, of the next weight at value and mlp_in, and of the outputs
// beside the classes' means elsewhere. gonum's eigenvectors hold no more. 13 images are
// two batches of 8, less three of the second.
func TestPrincipal(t *testing.T) {
	const rank, images = 3, 13
	c := tiny()
	c.Sites.Train = "core"
	c.Sites.Own = parts.CoreImages.With(parts.Rank.With(parts.Targets.With(nil, []string{"query", "key", "value",
		"attn_out", "mlp_in", "mlp_out"}), rank), images)
	x := open(t, c)
	m, _ := forward.As[*vit.Model](x.Model)
	var sites []int
	for i, s := range m.Sites() {
		if _, ok := x.cores.by[s.Weight]; ok {
			sites = append(sites, i)
		}
	}
	if len(sites) != 12 || x.cores.images != images {
		t.Fatalf("%d maps and %d images", len(sites), x.cores.images)
	}
	in, out := map[int]*mat.SymDense{}, map[int]*mat.SymDense{} // Σ x xᵀ and Σ z zᵀ
	add := func(to map[int]*mat.SymDense, i int, v []float64) {
		if to[i] == nil {
			to[i] = mat.NewSymDense(len(v), nil)
		}
		to[i].SymRankOne(to[i], 1, mat.NewVecDense(len(v), v))
	}
	sums, counts := map[int32][]float64{}, map[int32]float64{}
	x.Config.Data.Augment = nil
	x.Loader.Close()
	testkit.Must(t, x.openLoader()) // as the clean passes saw the images
	for step := range 2 {
		b, err := x.Loader.Batch(step)
		testkit.Must(t, err)
		p, err := m.Clean(t.Context(), b, sites)
		testkit.Must(t, err)
		some := min(8, images-8*step)
		for _, i := range sites {
			s, rows := m.Sites()[i], some*m.Input(i).Rows
			read, err := m.Inputs(i)
			testkit.Must(t, err)
			w, bias := m.Params()[s.Weight].Data, m.Params()[s.Bias].Data
			for r := range rows {
				row, z := make([]float64, s.In), make([]float64, s.Out)
				for j := range row {
					row[j] = float64(read[r*s.In+j])
				}
				for o := range z {
					z[o] = float64(bias[o])
					for j, v := range row {
						z[o] += float64(w[o*s.In+j]) * v
					}
				}
				add(in, i, row)
				add(out, i, z)
			}
		}
		for i, at := range b.Labels[:some] {
			if sums[at] == nil {
				sums[at] = make([]float64, 8)
			}
			counts[at]++
			for j := range 8 {
				sums[at][j] += float64(p.Clean().Features[i*8+j])
			}
		}
	}
	classes := between(sums, counts, images)
	for _, i := range sites {
		s := m.Sites()[i]
		d := x.cores.by[s.Weight]
		holds(t, s.Name+", inputs", in[i], d.Right, rank)
		want := mat.NewSymDense(s.Out, nil)
		switch s.Kind {
		case "query", "key":
			for a := range s.Out {
				for b := a; b < s.Out; b++ {
					if a/4 == b/4 { // two heads of 4
						want.SetSym(a, b, out[partner(m.Sites(), i)].At(a, b))
					}
				}
			}
		case "value", "mlp_in":
			next := m.Sites()[inBlockOf(m.Sites(), i, map[string]string{"value": "attn_out", "mlp_in": "mlp_out"}[s.Kind])]
			w := m.Params()[next.Weight].Data
			for o := range next.Out {
				row := make([]float64, s.Out)
				for j := range row {
					row[j] = float64(w[o*s.Out+j])
				}
				want.SymRankOne(want, 1, mat.NewVecDense(s.Out, row))
			}
		default:
			want.AddSym(want, out[i])
			scaled := mat.NewSymDense(s.Out, nil)
			scaled.ScaleSym(mat.Trace(out[i])/mat.Trace(classes), classes)
			want.AddSym(want, scaled)
		}
		holds(t, s.Name+", outputs", want, d.Left, rank)
	}
}

// between is the covariance of the means of classes.
func between(sums map[int32][]float64, counts map[int32]float64, n float64) *mat.SymDense {
	mean := make([]float64, 8)
	for _, s := range sums {
		for j, v := range s {
			mean[j] += v / n
		}
	}
	out := mat.NewSymDense(8, nil)
	for c, s := range sums {
		d := make([]float64, 8)
		for j := range d {
			d[j] = s[j]/counts[c] - mean[j]
		}
		out.SymRankOne(out, counts[c], mat.NewVecDense(8, d))
	}
	return out
}

// holds wants rows to hold as much of a matrix as its leading eigenvectors do.
func holds(t *testing.T, what string, c *mat.SymDense, rows []float32, rank int) {
	t.Helper()
	n := c.SymmetricDim()
	var e mat.EigenSym
	if !e.Factorize(c, false) {
		t.Fatal("no eigenvalues")
	}
	var want, got float64
	values := e.Values(nil)
	for k := range rank {
		want += values[n-1-k]
		for i := range n {
			for j := range n {
				got += float64(rows[k*n+i]) * c.At(i, j) * float64(rows[k*n+j])
			}
		}
	}
	if math.Abs(got/want-1) > 1e-3 {
		t.Errorf("%s: %s of the energy that %d directions can hold", what, fmt.Sprintf("%.4f", got/want), rank)
	}
}
