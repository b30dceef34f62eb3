package onnx

import (
	"fmt"
	"math"
	"slices"

	"github.com/flops-vit/flops/internal/vit"
	"gorgonia.org/gorgonia"
)

// writers add the nodes of an op, whose inputs have these names, and give the name
// of its output; values are batch×rows×width.
var writers map[string]func(g *graph, s vit.Spec, in []string, nodes gorgonia.Nodes) string

func init() {
	writers = map[string]func(g *graph, s vit.Spec, in []string, nodes gorgonia.Nodes) string{
		vit.OpPatches:   (*graph).patches,
		vit.OpEmbed:     (*graph).embed,
		vit.OpLinear:    (*graph).linear,
		vit.OpNorm:      (*graph).norm,
		vit.OpAct:       func(g *graph, s vit.Spec, in []string, _ gorgonia.Nodes) string { return g.act(s.Act, in[0]) },
		vit.OpAttention: (*graph).attention,
		vit.OpRows: func(g *graph, s vit.Spec, in []string, _ gorgonia.Nodes) string {
			return g.slice(in[0], 1, s.Offset, s.Offset+s.Rows)
		},
		vit.OpScale: func(g *graph, s vit.Spec, in []string, _ gorgonia.Nodes) string {
			gamma := g.constant(in[1], []int{s.Width}, g.param(in[1]))
			return g.binary("Add", in[2], g.binary("Mul", in[0], gamma))
		},
		vit.OpProduct: func(g *graph, s vit.Spec, in []string, _ gorgonia.Nodes) string {
			return g.binary("Mul", in[0], in[1])
		},
		vit.OpMean: func(g *graph, s vit.Spec, in []string, _ gorgonia.Nodes) string {
			return g.binary("Mul", g.binary("Add", in[0], in[1]), g.scalar(0.5))
		},
		vit.OpPool:    (*graph).pool,
		vit.OpRepeat:  (*graph).repeat,
		vit.OpReplace: (*graph).replace,
		vit.OpTurn:    (*graph).turn,
		vit.OpBias:    (*graph).bias,
	}
}

// op adds the nodes of one op of the network's graph.
func (g *graph) op(n *gorgonia.Node, nodes gorgonia.Nodes) error {
	f, ok := n.Op().(*vit.FusedOp)
	if !ok {
		return fmt.Errorf("onnx: op %v is not known", n.Op())
	}
	s := f.Spec()
	write, ok := writers[s.Kind]
	if !ok {
		return fmt.Errorf("onnx: op %s is not known", f)
	}
	var in []string
	for _, x := range nodes {
		name, ok := g.names[x]
		if !ok { // a parameter, which whoever reads it writes
			name = x.Name()
		}
		in = append(in, name)
	}
	g.names[n] = write(g, s, in, nodes)
	return nil
}

// param is a parameter's memory.
func (g *graph) param(name string) []float32 { return g.net.Params()[g.net.Index(name)].Data }

func (g *graph) patches(s vit.Spec, in []string, _ gorgonia.Nodes) string {
	x, rows, columns := in[0], s.High/s.Patch, s.Wide/s.Patch
	if rows*s.Patch < s.High {
		x = g.slice(x, 2, 0, rows*s.Patch)
	}
	if columns*s.Patch < s.Wide {
		x = g.slice(x, 3, 0, columns*s.Patch)
	}
	x = g.transpose(g.reshape(x, s.Chans, rows, s.Patch, columns, s.Patch), 0, 2, 4, 1, 3, 5)
	return g.reshape(x, rows*columns, s.Width)
}

// embed joins the runs of the sequence, those of parameters with their positions
// added here.
func (g *graph) embed(s vit.Spec, in []string, _ gorgonia.Nodes) string {
	var runs []string
	for i, x := range s.Segments {
		n := x.Rows * s.Width
		var positions []float32
		if x.Table >= 0 {
			positions = g.param(in[x.Table])[x.Position*s.Width:][:n]
		}
		if x.Token == 0 {
			z := in[0]
			if positions != nil {
				z = g.binary("Add", z, g.constant("positions", []int{1, x.Rows, s.Width}, positions))
			}
			runs = append(runs, z)
			continue
		}
		token := slices.Clone(g.param(in[x.Token])[:n])
		for k, v := range positions {
			token[k] += v
		}
		runs = append(runs, g.repeated(g.constant(fmt.Sprintf("token_%d", i), []int{1, x.Rows, s.Width}, token), x.Rows,
			s.Width))
	}
	if len(runs) == 1 {
		return runs[0]
	}
	return g.add("Concat", runs, "", attr{"axis", 1})
}

// repeated is a constant of rows×width for every image.
func (g *graph) repeated(x string, rows, width int) string {
	batch := g.add("Shape", []string{Input}, "", attr{"end", 1})
	shape := g.add("Concat", []string{batch, g.dims(rows, width)}, "", attr{"axis", 0})
	return g.binary("Expand", x, shape)
}

func (g *graph) repeat(s vit.Spec, in []string, _ gorgonia.Nodes) string {
	return g.repeated(g.constant(in[0], []int{1, 1, s.Width}, g.param(in[0])), 1, s.Width)
}

// replace has a block's own tokens in the place of those that the block before left.
func (g *graph) replace(s vit.Spec, in []string, _ gorgonia.Nodes) string {
	p := g.param(in[1])
	n := len(p) / s.Width
	runs := []string{g.repeated(g.constant(in[1], []int{1, n, s.Width}, p), n, s.Width)}
	if s.Offset > 0 {
		runs = append([]string{g.slice(in[0], 1, 0, s.Offset)}, runs...)
	}
	if end := s.Offset + n; end < s.Rows {
		runs = append(runs, g.slice(in[0], 1, end, s.Rows))
	}
	return g.add("Concat", runs, "", attr{"axis", 1})
}

func (g *graph) linear(s vit.Spec, in []string, nodes gorgonia.Nodes) string {
	w := g.param(in[1])
	k := len(w) / s.Width
	turned := make([]float32, len(w))
	for r := range s.Width {
		for c := range k {
			turned[c*s.Width+r] = w[r*k+c]
		}
	}
	y := g.binary("MatMul", in[0], g.constant(in[1], []int{k, s.Width}, turned))
	at := 2
	if s.Bias {
		y = g.binary("Add", y, g.constant(in[2], []int{s.Width}, g.param(in[2])))
		at++
	}
	y = g.act(s.Act, y)
	if len(in) > at {
		y = g.binary("Add", y, in[at])
	}
	return y
}

// act is an activation function; the opset has none of the GELUs as one op.
func (g *graph) act(f vit.Act, x string) string {
	mul := func(x, y string) string { return g.binary("Mul", x, y) }
	one := func(op, x string) string { return g.add(op, []string{x}, "") }
	switch f {
	case vit.GELU:
		e := g.binary("Add", one("Erf", mul(x, g.scalar(math.Sqrt(0.5)))), g.scalar(1))
		return mul(mul(x, e), g.scalar(0.5))
	case vit.TanhGELU:
		cube := mul(mul(mul(x, x), x), g.scalar(0.044715))
		u := mul(g.binary("Add", x, cube), g.scalar(math.Sqrt(2/math.Pi)))
		return mul(mul(x, g.binary("Add", one("Tanh", u), g.scalar(1))), g.scalar(0.5))
	case vit.QuickGELU:
		return mul(x, one("Sigmoid", mul(x, g.scalar(1.702))))
	case vit.SiLU:
		return mul(x, one("Sigmoid", x))
	case vit.ReLU:
		return one("Relu", x)
	case vit.Tanh:
		return one("Tanh", x)
	}
	return x
}

// norm is a layer norm, of each head's share where a row holds several.
func (g *graph) norm(s vit.Spec, in []string, nodes gorgonia.Nodes) string {
	width := nodes[0].Shape()[1]
	rows := s.Rows * s.Width / width
	x := in[0]
	if width != s.Width {
		x = g.reshape(x, rows, width/s.Width, s.Width)
	}
	y := g.add("LayerNormalization", []string{x, g.constant(in[1], []int{s.Width}, g.param(in[1])),
		g.constant(in[2], []int{s.Width}, g.param(in[2]))}, "", attr{"axis", -1}, attr{"epsilon", s.Eps})
	if width != s.Width {
		y = g.reshape(y, rows, width)
	}
	return y
}

func (g *graph) attention(s vit.Spec, in []string, _ gorgonia.Nodes) string {
	d := s.Width / s.Heads
	heads := func(x string, rows int, perm ...int) string {
		return g.transpose(g.reshape(x, rows, s.Heads, d), perm...)
	}
	q, k, v := heads(in[0], s.Rows, 0, 2, 1, 3), heads(in[1], s.Keys, 0, 2, 3, 1), heads(in[2], s.Keys, 0, 2, 1, 3)
	scores := g.binary("Mul", g.binary("MatMul", q, k), g.scalar(1/math.Sqrt(float64(d))))
	if s.Biased {
		scores = g.binary("Add", scores, in[3])
	}
	y := g.binary("MatMul", g.add("Softmax", []string{scores}, "", attr{"axis", -1}), v)
	return g.reshape(g.transpose(y, 0, 2, 1, 3), s.Rows, s.Width)
}

func (g *graph) pool(s vit.Spec, in []string, _ gorgonia.Nodes) string {
	x := in[0]
	if s.Offset > 0 {
		x = g.slice(x, 1, s.Offset, s.InRows)
	}
	mean := g.add("ReduceMean", []string{x}, "", attr{"axes", []int{1}}, attr{"keepdims", 1})
	if !s.First {
		return mean
	}
	return g.add("Concat", []string{g.slice(in[0], 1, 0, 1), mean}, "", attr{"axis", 2})
}

// turn multiplies by tables of cosines and sines, which leave the rows that are no
// patches as they are.
func (g *graph) turn(s vit.Spec, in []string, _ gorgonia.Nodes) string {
	d := s.Width / s.Heads
	half := d / 2
	c, w := vit.Angles(s)
	cos, sin := make([]float32, s.Rows*d), make([]float32, s.Rows*d)
	for r := range s.Rows {
		for k := range d {
			cos[r*d+k] = 1
			if at := (r-s.Offset)*half + k%half; r >= s.Offset {
				cos[r*d+k], sin[r*d+k] = c[at], w[at]
			}
		}
	}
	table := func(kind string, v []float32) string {
		return g.constant(fmt.Sprintf("%s_%d_%d", kind, s.Rows, s.Offset), []int{1, s.Rows, 1, d}, v)
	}
	x := g.reshape(in[0], s.Rows, s.Heads, d)
	lo, hi := g.slice(x, 3, 0, half), g.slice(x, 3, half, d)
	rotated := g.add("Concat", []string{g.add("Neg", []string{hi}, ""), lo}, "", attr{"axis", 3})
	y := g.binary("Add", g.binary("Mul", x, table("cosines", cos)), g.binary("Mul", rotated, table("sines", sin)))
	return g.reshape(y, s.Rows, s.Width)
}

// bias is what attention adds to its scores, looked up here.
func (g *graph) bias(s vit.Spec, in []string, _ gorgonia.Nodes) string {
	table, index := g.param(in[0]), vit.Distances(s)
	out := make([]float32, s.Heads*len(index))
	for h := range s.Heads {
		for i, at := range index {
			if at >= 0 {
				out[h*len(index)+i] = table[int(at)*s.Heads+h]
			}
		}
	}
	return g.constant("scores."+s.Name, []int{1, s.Heads, s.InRows, s.Keys}, out)
}
