package onnx

import (
	"encoding/binary"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// message is a protocol buffer that is being written. The numbers of the fields are
// those of onnx.proto (ONNX 1.12, IR version 8, opset 17).
type message []byte

func (m *message) bytes(field protowire.Number, b []byte) {
	*m = protowire.AppendBytes(protowire.AppendTag(*m, field, protowire.BytesType), b)
}

func (m *message) text(field protowire.Number, s string) { m.bytes(field, []byte(s)) }

func (m *message) number(field protowire.Number, v int64) {
	*m = protowire.AppendVarint(protowire.AppendTag(*m, field, protowire.VarintType), uint64(v))
}

func (m *message) float(field protowire.Number, v float32) {
	*m = protowire.AppendFixed32(protowire.AppendTag(*m, field, protowire.Fixed32Type), math.Float32bits(v))
}

// The types of tensors and attributes in use.
const (
	float32s = 1
	int64s   = 7

	attrFloat = 1
	attrInt   = 2
	attrInts  = 7
)

// attr is an attribute of a node.
type attr struct {
	name  string
	value any // int, []int or float32
}

func (a attr) encode() message {
	var m message
	m.text(1, a.name)
	switch v := a.value.(type) {
	case float32:
		m.float(2, v)
		m.number(20, attrFloat)
	case int:
		m.number(3, int64(v))
		m.number(20, attrInt)
	case []int:
		for _, x := range v {
			m.number(8, int64(x))
		}
		m.number(20, attrInts)
	}
	return m
}

// node is a NodeProto.
func node(op, name string, in, out []string, attrs []attr) message {
	var m message
	for _, x := range in {
		m.text(1, x)
	}
	for _, x := range out {
		m.text(2, x)
	}
	m.text(3, name)
	m.text(4, op)
	for _, a := range attrs {
		m.bytes(5, a.encode())
	}
	return m
}

// floats is a TensorProto of float32.
func floats(name string, shape []int, data []float32) message {
	raw := make([]byte, 4*len(data))
	for i, v := range data {
		binary.LittleEndian.PutUint32(raw[4*i:], math.Float32bits(v))
	}
	return tensor(name, float32s, shape, raw)
}

// ints is a TensorProto of a vector of int64.
func ints(name string, data []int) message {
	raw := make([]byte, 8*len(data))
	for i, v := range data {
		binary.LittleEndian.PutUint64(raw[8*i:], uint64(v))
	}
	return tensor(name, int64s, []int{len(data)}, raw)
}

func tensor(name string, kind int64, shape []int, raw []byte) message {
	var m message
	for _, d := range shape {
		m.number(1, int64(d))
	}
	m.number(2, kind)
	m.text(8, name)
	m.bytes(9, raw)
	return m
}

// value is a ValueInfoProto of floats, whose first dimension is the batch's.
func value(name string, dims ...int) message {
	dim := func(fill func(d *message)) message {
		var d, out message
		fill(&d)
		out.bytes(1, d)
		return out
	}
	shape := dim(func(d *message) { d.text(2, "batch") })
	for _, n := range dims {
		shape = append(shape, dim(func(d *message) { d.number(1, int64(n)) })...)
	}
	var tensorType, kind, m message
	tensorType.number(1, float32s)
	tensorType.bytes(2, shape)
	kind.bytes(1, tensorType)
	m.text(1, name)
	m.bytes(2, kind)
	return m
}
