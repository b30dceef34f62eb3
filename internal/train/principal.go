package train

import (
	"context"
	"slices"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/data"
	"github.com/flops-vit/flops/internal/kernel"
	"github.com/flops-vit/flops/internal/parts"
	"github.com/flops-vit/flops/internal/principal"
	"github.com/flops-vit/flops/internal/uierr"
	"github.com/flops-vit/flops/internal/vit"
)

// reader is a model that shows what its maps read.
type reader interface {
	forward.Model
	Input(site int) vit.Activation
	Inputs(site int) ([]float32, error)
}

// looked is what clean passes of some images say of the maps of a model.
type looked struct {
	reader
	heads   int
	inputs  []*moments
	by      map[vit.Activation]*moments
	between spread
}

// moments are those of the rows x that some maps read.
type moments struct {
	site  int       // one of theirs
	rows  int       // how many
	sum   []float32 // Σ x
	sq    []float32 // Σ x xᵀ
	found []float32 // the leading directions of sq
}

// principal fills the directions of every core, without a query. At the inputs of a map
// they are the principal ones of what it read, not centred, as the gradient by a weight is
// of rows as they are. At its outputs, the leading ones of looked.outputs.
func (x *Experiment) principal() error {
	m, ok := forward.As[reader](x.Model)
	if !ok {
		return uierr.New("sites.train: "+x.Config.Sites.Train+" needs a network of our own", "leave sites.train out")
	}
	var sites, read []int
	for i, s := range m.Sites() {
		if _, ok := x.cores.by[s.Weight]; ok {
			sites = append(sites, i)
			read = append(read, i)
			if o := partner(m.Sites(), i); o >= 0 && !slices.Contains(read, o) {
				read = append(read, o)
			}
		}
	}
	slices.Sort(read)
	read = slices.Compact(read)
	l := &looked{reader: m, heads: x.cores.heads, by: map[vit.Activation]*moments{}}
	for _, i := range read {
		if n := m.Sites()[i].In; l.by[m.Input(i)] == nil {
			l.by[m.Input(i)] = &moments{site: i, sum: make([]float32, n), sq: make([]float32, n*n)}
			l.inputs = append(l.inputs, l.by[m.Input(i)])
		}
	}
	if err := x.overlook(l, read); err != nil {
		return err
	}
	threads, rank := Threads(x.Config), parts.Rank.Of(x.Config.Sites.Own)
	kernel.Parallel(threads, len(l.inputs), func(_, i int) {
		l.inputs[i].found = principal.Directions(l.inputs[i].sq, m.Sites()[l.inputs[i].site].In, rank)
	})
	kernel.Parallel(threads, len(sites), func(_, i int) {
		s := m.Sites()[sites[i]]
		d := x.cores.by[s.Weight]
		copy(d.Right, l.by[m.Input(sites[i])].found)
		copy(d.Left, principal.Directions(l.outputs(sites[i]), s.Out, rank))
	})
	return nil
}

// overlook adds up over clean passes of images that the seed draws.
func (x *Experiment) overlook(l *looked, sites []int) error {
	c := x.Config
	t, err := x.Local.Transform(c.Data)
	if err != nil {
		return err
	}
	t.Flip, t.Crop = false, false
	images := min(parts.CoreImages.Of(c.Sites.Own), x.TrainData.Len())
	size := min(images, c.Train.BatchSize)
	from, err := data.NewLoader(x.TrainData, data.LoaderConfig{BatchSize: size, Seed: uint64(c.Train.Seed), Shuffle: true,
		Transform: t, Workers: c.Data.Workers, Levels: x.takesLevels()})
	if err != nil {
		return err
	}
	defer from.Close()
	work := make([]kernel.Scratch, Threads(c))
	for step := 0; x.cores.images < images; step++ {
		b, err := from.Batch(step)
		if err != nil {
			return err
		}
		p, err := l.Clean(context.Background(), b, sites)
		if err != nil {
			return err
		}
		some := min(size, images-x.cores.images)
		rows := make([][]float32, len(l.inputs))
		for i, v := range l.inputs {
			if rows[i], err = l.Inputs(v.site); err != nil {
				return err
			}
		}
		kernel.Parallel(len(work), len(l.inputs), func(w, i int) {
			v := l.inputs[i]
			v.add(rows[i], some*l.Input(v.site).Rows, &work[w])
		})
		l.between.add(p.Clean(), b.Labels, some)
		x.cores.images += some
	}
	return nil
}

// add takes some rows more.
func (v *moments) add(x []float32, rows int, work *kernel.Scratch) {
	n := len(v.sum)
	v.rows += rows
	for t := range rows {
		kernel.AddTo(v.sum, x[t*n:(t+1)*n])
	}
	kernel.GemmTN(v.sq, n, x, n, x, n, n, n, rows, true, work)
}

// given is Σ z zᵀ of the outputs z = W x + b of one of the maps,
// W (Σ x xᵀ) Wᵀ + W (Σ x) bᵀ + b (W Σ x)ᵀ + rows·b bᵀ.
func (v *moments) given(params []*forward.Param, s forward.Site) []float32 {
	var p kernel.Packed
	var scratch kernel.Scratch
	w := params[s.Weight].Data
	through := make([]float32, s.Out*s.In)
	p.PackNN(v.sq, s.In, s.In, s.In)
	kernel.Gemm(through, s.In, w, s.In, s.Out, &p, &kernel.Epilogue{}, &scratch)
	out := make([]float32, s.Out*s.Out)
	p.PackNT(w, s.Out, s.In, s.In)
	kernel.Gemm(out, s.Out, through, s.In, s.Out, &p, &kernel.Epilogue{}, &scratch)
	if s.Bias < 0 {
		return out
	}
	b, mean := params[s.Bias].Data, make([]float32, s.Out)
	kernel.Gemm(mean, s.Out, v.sum, s.In, 1, &p, &kernel.Epilogue{}, &scratch)
	for i := range s.Out {
		row := out[i*s.Out : (i+1)*s.Out]
		kernel.Axpy(row, mean[i]+float32(v.rows)*b[i], b)
		kernel.Axpy(row, b[i], mean)
	}
	return out
}
