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
	o := g.op(Spec{Kind: OpPatches, Name: "patches", Rows: a.Patches(), Width: a.PatchLen(), Chans: a.Chans, Side: a.Image,
		Patch: a.Patch})
	o.run = func(out []float32, v [][]float32) {
		for s := 0; s < f.N; s++ {
			cutPatches(out[s*a.Patches()*a.PatchLen():], v[0][s*a.Chans*a.Image*a.Image:], a)
		}
	}
	return g.apply(o, x)
}

func cutPatches(out, img []float32, a Arch) {
	side, p := a.Image/a.Patch, a.Patch
	o := 0
	for py := 0; py < side; py++ {
		for px := 0; px < side; px++ {
			for c := 0; c < a.Chans; c++ {
				for y := 0; y < p; y++ {
					row := img[(c*a.Image+py*p+y)*a.Image+px*p:]
					o += copy(out[o:o+p], row[:p])
				}
			}
		}
	}
}

// embed assembles the sequence: cls token and position 0, the prompt tokens,
// and each patch with its position.
func (g *graph) embed(z act, a Arch, n tokenNames) *gorgonia.Node {
	f := g.feed
	T, P, D := a.Tokens(), a.Patches(), a.Hidden
	in := []*gorgonia.Node{z.node, g.param(g.net.param(n.cls)), g.param(g.net.param(n.positions))}
	if a.Prompts > 0 {
		in = append(in, g.param(g.net.param(n.prompts)))
	}
	o := g.op(Spec{Kind: OpEmbed, Name: "embed", Rows: T, InRows: P, Width: D, Prompts: a.Prompts})
	o.run = func(out []float32, v [][]float32) {
		for s := 0; s < f.N; s++ {
			h := out[s*T*D : (s+1)*T*D]
			kernel.Add(h[:D], v[1], v[2][:D])
			if a.Prompts > 0 {
				copy(h[D:], v[3])
			}
			kernel.Add(h[(T-P)*D:], v[0][s*P*D:(s+1)*P*D], v[2][D:])
		}
	}
	o.grad = func(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		var out gorgonia.Nodes
		for i, n := range in {
			d := g.op(Spec{Kind: OpEmbedGrad, Name: "embed.d" + n.Name(), Rows: P, InRows: T, Width: D, Part: i,
				Prompts: a.Prompts})
			if i > 0 {
				d.shape = n.Shape()
			}
			d.run = func(out []float32, v [][]float32) { g.embedGrad(out, v[0], i, a) }
			out = append(out, g.apply(d, dy))
		}
		return out, g.err
	}
	return g.apply(o, in...)
}

func (g *graph) embedGrad(out, dy []float32, part int, a Arch) {
	T, P, D := a.Tokens(), a.Patches(), a.Hidden
	if part > 0 {
		clear(out)
	}
	for s := 0; s < g.feed.N; s++ {
		d := dy[s*T*D : (s+1)*T*D]
		switch part {
		case 0:
			copy(out[s*P*D:(s+1)*P*D], d[(T-P)*D:])
		case 1:
			kernel.AddTo(out, d[:D])
		case 2:
			kernel.AddTo(out[:D], d[:D])
			kernel.AddTo(out[D:], d[(T-P)*D:])
		case 3:
			kernel.AddTo(out, d[D:(T-P)*D])
		}
	}
}

// cls takes the first of each slot's rows.
func (g *graph) cls(name string, x act, rows, width int) *gorgonia.Node {
	f := g.feed
	o := g.op(Spec{Kind: OpCls, Name: name, Rows: 1, InRows: rows, Width: width})
	o.run = func(out []float32, v [][]float32) {
		for s := 0; s < f.N; s++ {
			copy(out[s*width:(s+1)*width], v[0][s*rows*width:])
		}
	}
	o.grad = func(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		d := g.op(Spec{Kind: OpClsGrad, Name: name + ".dx", Rows: rows, InRows: 1, Width: width})
		d.run = func(out []float32, v [][]float32) {
			clear(out[:f.N*rows*width])
			for s := 0; s < f.N; s++ {
				copy(out[s*rows*width:], v[0][s*width:(s+1)*width])
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
			f.err = f.Loss.Losses(out[:f.N], v[0][:f.N*k], f.N, k, f.Target[:f.N])
		}
	}
	o.grad = func(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		d := g.op(Spec{Kind: OpLossGrad, Name: "loss.dx", Rows: 1, Width: k})
		d.run = func(out []float32, v [][]float32) {
			f.err = f.lossGrad(out[:f.N*k], v[0][:f.N*k], f.N, k)
			for s := 0; s < f.N; s++ {
				kernel.Scale(out[s*k:(s+1)*k], v[1][s])
			}
		}
		return gorgonia.Nodes{g.apply(d, in[0], dy)}, g.err
	}
	return g.apply(o, logits)
}
