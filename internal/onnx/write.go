package onnx

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"

	"github.com/flops-vit/flops/internal/vit"
	"gorgonia.org/gorgonia"
)

// Input and Output are the names of what goes in, images of channels×rows×columns as
// the network takes them, and of what comes out.
const (
	Input  = "pixel_values"
	Output = "logits"
)

// Opset is the version of the operators.
const Opset = 17

// most is the largest file that the format allows for.
const most = math.MaxInt32

// Write writes a network with its weights and the metadata. A network of more than
// 2 GiB is an error: the format has none so large in one file.
func Write(w io.Writer, n *vit.Net, metadata map[string]string) error {
	if size := 4 * int64(n.Count()); size >= most-(1<<20) {
		return fmt.Errorf("onnx: %d bytes of weights; a file holds less than 2 GiB", size)
	}
	p, err := n.Outline().Program(1, &vit.Forward{})
	if err != nil {
		return err
	}
	g := &graph{net: n, names: map[*gorgonia.Node]string{}, made: map[string]bool{}}
	g.names[p.Start] = Input
	order, _ := vit.Schedule(p.Graph, p.Logits)
	for _, node := range order {
		if err := g.op(node, vit.Inputs(p.Graph, node)); err != nil {
			return err
		}
	}
	outputs := n.Arch.Outputs()
	g.add("Reshape", []string{g.names[p.Logits], g.dims(-1, outputs)}, Output)
	_, err = w.Write(g.model(outputs, metadata))
	return err
}

// model is the ModelProto.
func (g *graph) model(outputs int, metadata map[string]string) []byte {
	chans, rows, columns := g.net.Arch.Input()
	var body, opset, m message
	for _, x := range g.nodes {
		body.bytes(1, x)
	}
	body.text(2, "flops")
	for _, x := range g.tensors {
		body.bytes(5, x)
	}
	body.bytes(11, value(Input, chans, rows, columns))
	body.bytes(12, value(Output, outputs))
	opset.text(1, "")
	opset.number(2, Opset)
	m.number(1, 8)
	m.text(2, "flops")
	m.bytes(7, body)
	m.bytes(8, opset)
	for _, k := range slices.Sorted(maps.Keys(metadata)) {
		var e message
		e.text(1, k)
		e.text(2, metadata[k])
		m.bytes(14, e)
	}
	return m
}

// graph collects nodes and tensors.
type graph struct {
	net     *vit.Net
	nodes   []message
	tensors []message
	names   map[*gorgonia.Node]string // of values
	made    map[string]bool           // tensors by name
	count   int
}

// add adds a node and gives the name of its output, which is made up where none is
// given.
func (g *graph) add(op string, in []string, out string, attrs ...attr) string {
	if g.count++; out == "" {
		out = fmt.Sprintf("%s_%d", op, g.count)
	}
	g.nodes = append(g.nodes, node(op, fmt.Sprintf("node_%d", g.count), in, []string{out}, attrs))
	return out
}

// constant is a tensor of floats.
func (g *graph) constant(name string, shape []int, data []float32) string {
	if !g.made[name] {
		g.made[name] = true
		g.tensors = append(g.tensors, floats(name, shape, data))
	}
	return name
}

// scalar is a number.
func (g *graph) scalar(v float64) string {
	return g.constant(fmt.Sprintf("number_%v", v), nil, []float32{float32(v)})
}

// dims is a vector of whole numbers.
func (g *graph) dims(v ...int) string {
	name := "dims"
	for _, x := range v {
		name += fmt.Sprintf("_%d", x)
	}
	if !g.made[name] {
		g.made[name] = true
		g.tensors = append(g.tensors, ints(name, v))
	}
	return name
}

// reshape keeps the batch.
func (g *graph) reshape(x string, v ...int) string {
	return g.add("Reshape", []string{x, g.dims(append([]int{0}, v...)...)}, "")
}

func (g *graph) transpose(x string, perm ...int) string {
	return g.add("Transpose", []string{x}, "", attr{"perm", perm})
}

func (g *graph) binary(op, x, y string) string { return g.add(op, []string{x, y}, "") }

// slice is the places lo to hi−1 of a dimension.
func (g *graph) slice(x string, axis, lo, hi int) string {
	return g.add("Slice", []string{x, g.dims(lo), g.dims(hi), g.dims(axis)}, "")
}
