package vit

import (
	"github.com/flops-vit/flops/internal/kernel"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// patches cuts each image (C×H×W) into rows of C·p·p values, in the order of
// Hugging Face's patch convolution: channel, then row, then column.
func (g *graph) patches(x *gorgonia.Node, a Arch) *gorgonia.Node {
	f := g.feed
	o := g.op(Spec{Kind: OpPatches, Name: "patches", Rows: a.Patches(), Width: a.PatchLen(), Chans: a.Chans, High: a.Image,
		Wide: a.Columns(), Patch: a.Patch})
	o.run = func(out []float32, v [][]float32) {
		for s := 0; s < f.Slots; s++ {
			cutPatches(out[s*a.Patches()*a.PatchLen():], v[0][s*a.Chans*a.Image*a.Columns():], a)
		}
	}
	return g.apply(o, x)
}

func cutPatches(out, img []float32, a Arch) {
	rows, columns := a.Grid()
	p, wide := a.Patch, a.Columns()
	o := 0
	for py := 0; py < rows; py++ {
		for px := 0; px < columns; px++ {
			for c := 0; c < a.Chans; c++ {
				for y := 0; y < p; y++ {
					row := img[(c*a.Image+py*p+y)*wide+px*p:]
					o += copy(out[o:o+p], row[:p])
				}
			}
		}
	}
}

// segment is a run of rows of the sequence: a learned token, or, without one, the
// patches; position is the first row of table that is added, −1 where none is.
type segment struct {
	token    string
	rows     int
	table    string
	position int
}

// Segment is such a run in the graph: Token and Table are the inputs that they
// are, Token 0 being the patches and Table −1 none; Row is where it begins.
type Segment struct{ Token, Rows, Table, Position, Row int }

// embed assembles the sequence of T rows: tokens, and patches z, each with its
// position.
func (g *graph) embed(z act, segments []segment, T int) *gorgonia.Node {
	f, D := g.feed, z.width
	in := gorgonia.Nodes{z.node}
	spec := Spec{Kind: OpEmbed, Name: "embed", Rows: T, InRows: z.rows, Width: D}
	number := map[string]int{}
	param := func(name string) int {
		i, ok := number[name]
		if !ok {
			i = len(in)
			number[name], in = i, append(in, g.param(g.net.param(name)))
		}
		return i
	}
	row := 0
	for _, x := range segments {
		s := Segment{Rows: x.rows, Row: row, Table: -1, Position: x.position}
		if x.token != "" {
			s.Token = param(x.token)
		}
		if x.table != "" {
			s.Table = param(x.table)
		}
		spec.Segments, row = append(spec.Segments, s), row+x.rows
	}
	o := g.op(spec)
	o.run = func(out []float32, v [][]float32) {
		for s := 0; s < f.Slots; s++ {
			for _, x := range spec.Segments {
				n := x.Rows * D
				dst, src := out[(s*T+x.Row)*D:][:n], v[x.Token]
				if x.Token == 0 {
					src = src[s*n:]
				}
				if x.Table < 0 {
					copy(dst, src[:n])
				} else {
					kernel.Add(dst, src[:n], v[x.Table][x.Position*D:][:n])
				}
			}
		}
	}
	o.grad = func(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		var out gorgonia.Nodes
		for i, n := range in {
			d := g.op(Spec{Kind: OpEmbedGrad, Name: "embed.d" + n.Name(), Rows: z.rows, InRows: T, Width: D, Part: i,
				Segments: spec.Segments})
			if i > 0 {
				d.shape = n.Shape()
			}
			d.run = func(out []float32, v [][]float32) { g.embedGrad(out, v[0], d.spec) }
			out = append(out, g.apply(d, dy))
		}
		return out, g.err
	}
	return g.apply(o, in...)
}

// embedGrad is the gradient of input Part: of each run that reads it, the rows of
// dy, summed over the slots unless they are the patches'.
func (g *graph) embedGrad(out, dy []float32, s Spec) {
	D := s.Width
	if s.Part > 0 {
		clear(out)
	}
	for slot := 0; slot < g.feed.Slots; slot++ {
		for _, x := range s.Segments {
			d := dy[(slot*s.InRows+x.Row)*D:][:x.Rows*D]
			switch s.Part {
			case 0:
				if x.Token == 0 {
					copy(out[slot*len(d):], d)
				}
			case x.Token:
				kernel.AddTo(out[:len(d)], d)
			case x.Table:
				kernel.AddTo(out[x.Position*D:][:len(d)], d)
			}
		}
	}
}

// take is n of each slot's rows, from lo on.
func (g *graph) take(name string, x act, lo, n int) *gorgonia.Node {
	f, rows, width := g.feed, x.rows, x.width
	o := g.op(Spec{Kind: OpRows, Name: name, Rows: n, InRows: rows, Width: width, Offset: lo})
	o.run = func(out []float32, v [][]float32) {
		for s := 0; s < f.Slots; s++ {
			copy(out[s*n*width:(s+1)*n*width], v[0][(s*rows+lo)*width:])
		}
	}
	o.grad = func(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		d := g.op(Spec{Kind: OpRowsGrad, Name: name + ".dx", Rows: rows, InRows: n, Width: width, Offset: lo})
		d.run = func(out []float32, v [][]float32) {
			clear(out[:f.Slots*rows*width])
			for s := 0; s < f.Slots; s++ {
				copy(out[(s*rows+lo)*width:], v[0][s*n*width:(s+1)*n*width])
			}
		}
		return gorgonia.Nodes{g.apply(d, dy)}, g.err
	}
	return g.apply(o, x.node)
}

// loss is the objective's number for each slot.
func (g *graph) loss(logits *gorgonia.Node) *gorgonia.Node {
	f, k := g.feed, g.net.Arch.Outputs()
	o := g.op(Spec{Kind: OpLoss, Name: "loss", Rows: 1, Width: k})
	o.shape = tensor.Shape{g.slots}
	o.run = func(out []float32, v [][]float32) {
		if f.Loss != nil {
			f.err = f.Loss.Losses(out[:f.Slots], v[0][:f.Slots*k], f.Slots, k, f.Target[:f.Slots])
		}
	}
	o.grad = func(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		d := g.op(Spec{Kind: OpLossGrad, Name: "loss.dx", Rows: 1, Width: k})
		d.run = func(out []float32, v [][]float32) {
			f.err = f.lossGrad(out[:f.Slots*k], v[0][:f.Slots*k], f.Slots, k)
			for s := 0; s < f.Slots; s++ {
				kernel.Scale(out[s*k:(s+1)*k], v[1][s])
			}
		}
		return gorgonia.Nodes{g.apply(d, in[0], dy)}, g.err
	}
	return g.apply(o, logits)
}
