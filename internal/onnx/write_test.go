package onnx

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/flops-vit/flops/internal/vit"
	"google.golang.org/protobuf/encoding/protowire"
)

// field is one field of a message that is read back.
type field struct {
	number protowire.Number
	n      uint64
	b      []byte
}

func fields(t *testing.T, b []byte) (out []field) {
	t.Helper()
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		b = b[n:]
		f := field{number: number}
		switch kind {
		case protowire.VarintType:
			f.n, n = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			f.b, n = protowire.ConsumeBytes(b)
		default:
			n = protowire.ConsumeFieldValue(number, kind, b)
		}
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		b, out = b[n:], append(out, f)
	}
	return out
}

// texts are the texts of one field.
func texts(t *testing.T, b []byte, number protowire.Number) (out []string) {
	for _, f := range fields(t, b) {
		if f.number == number {
			out = append(out, string(f.b))
		}
	}
	return out
}

// Files of every family are sound: each value is made before it is read, once, and
// each tensor has as many numbers as its shape says. That they answer alike is
// looked at by scripts/clients/families_client.py, with ONNX Runtime.
func TestWrite(t *testing.T) {
	a := vit.Arch{Image: 8, Across: 13, Patch: 4, Chans: 3, Hidden: 8, Layers: 2, Heads: 2, MLP: 12, Classes: 3, Eps: 1e-6}
	beit := vit.BEiT(a, true)
	beit.Scaled, beit.Relative = true, vit.RelativeBlock
	mixed := vit.Timm(a, false)
	mixed.QKNorm, mixed.PooledNorm, mixed.Pool = true, true, vit.PoolMean
	gated := a
	gated.Act = vit.SiLU
	deep := a
	deep.Prompts, deep.Deep = 2, true
	for i, arch := range []vit.Architecture{a, deep, beit, mixed, vit.DINOv2(gated, 2, true), vit.DINOv3(a, 1, false),
		vit.DeiT(a, true), vit.SigLIP(a, vit.PoolAttention), vit.CLIPVision{Arch: a, Projected: 5}} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			w, err := vit.NewWeights(arch)
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			if err := Write(&out, vit.NewNet(w), map[string]string{"labels": "abc"}); err != nil {
				t.Fatal(err)
			}
			var body []byte
			for _, f := range fields(t, out.Bytes()) {
				switch f.number {
				case 7:
					body = f.b
				case 8:
					if o := fields(t, f.b); o[len(o)-1].n != Opset {
						t.Errorf("opset %v", o)
					}
				case 14:
					if texts(t, f.b, 1)[0] != "labels" || texts(t, f.b, 2)[0] != "abc" {
						t.Errorf("metadata %q", f.b)
					}
				}
			}
			known := []string{Input}
			for _, f := range fields(t, body) {
				if f.number != 5 {
					continue
				}
				size, values, width := 1, 0, 4
				for _, x := range fields(t, f.b) {
					switch x.number {
					case 1:
						size *= int(x.n)
					case 2:
						if x.n == int64s {
							width = 8
						}
					case 9:
						values = len(x.b)
					}
				}
				name := texts(t, f.b, 8)[0]
				if values != size*width || slices.Contains(known, name) {
					t.Errorf("tensor %s of %d bytes, shape of %d", name, values, size)
				}
				known = append(known, name)
			}
			for _, f := range fields(t, body) {
				if f.number != 1 {
					continue
				}
				for _, in := range texts(t, f.b, 1) {
					if !slices.Contains(known, in) {
						t.Errorf("%s reads %s, which nothing has made", texts(t, f.b, 4)[0], in)
					}
				}
				known = append(known, texts(t, f.b, 2)...)
			}
			if !slices.Contains(known, Output) {
				t.Error("no output")
			}
		})
	}
}
