package vit

import (
	"context"
	"testing"

	"github.com/flops-vit/flops/forward"
)

// textTowers are one of each kind, small.
func textTowers() map[string]Text {
	t := Text{Context: 9, Vocabulary: 20, Hidden: 16, Layers: 2, Heads: 2, MLP: 24, Eps: 1e-5, EOS: 19, Projected: 5,
		Names: HFText("text_projection")}
	clip, first, siglip, bare := t, t, t, t
	clip.Act, clip.Causal, clip.End = QuickGELU, true, EndLargest
	first.Act, first.Causal, first.End, first.Learned = GELU, true, EndFirst, 4
	siglip.Act, siglip.End, siglip.Biased = TanhGELU, EndLast, true
	bare.Act, bare.Causal, bare.End, bare.Projected = QuickGELU, true, EndFirst, 0
	return map[string]Text{"CLIP": clip, "a learned context": first, "SigLIP": siglip, "no projection": bare}
}

// textModel draws a tower and a batch of texts.
func textModel(t *testing.T, arch Text) (*Model, *Weights, *forward.Batch) {
	t.Helper()
	w := drawn(t, arch, 3, 1)
	w.trainAll(func(p *forward.Param) bool { return p.Role == "token" || p.Role == "position" || p.Role == "prompt" })
	m := NewModel(NewNet(w), Options{Threads: 1, Loss: crossEntropy(t), Mask: true, Noise: source(t)})
	b := &forward.Batch{Size: 3, Labels: []int32{0, 3, 1}, Index: []int32{0, 1, 2}}
	for s := range b.Size {
		ids := []float32{18, 3, 4, 7, 19, 19, 19, 19, 19}
		ids[3], ids[4] = float32(5+s), float32(11+4*s) // the end lies elsewhere in each but the last
		if arch.Learned > 0 {
			ids[1], ids[2] = -1, float32(-2-s%2)
		}
		b.Inputs = append(b.Inputs, ids...)
	}
	return m, w, b
}

// Backpropagation of text towers agrees with central differences, as that of the
// image towers does (TestFamiliesBackpropagate).
func TestTextBackpropagates(t *testing.T) {
	for name, arch := range textTowers() {
		t.Run(name, func(t *testing.T) {
			m, w, b := textModel(t, arch)
			if _, err := m.Backward(context.Background(), b); err != nil {
				t.Fatal(err)
			}
			for k, u := range directions(w) {
				want := differ(t, m, b, w, u)
				got := 0.0
				for i, p := range w.Params() {
					for j, g := range p.Grad {
						got += float64(g) * float64(u[i][j])
					}
				}
				if d := got - want; d > 0.01*abs(want)+2e-3 || -d > 0.01*abs(want)+2e-3 {
					t.Errorf("direction %d: %v by backpropagation, %v by differences", k, got, want)
				}
			}
		})
	}
}

func abs(x float64) float64 { return max(x, -x) }

// What stands after the end of a text, or before a row that reads it, is not read
// by CLIP's tower; SigLIP's reads all.
func TestCausal(t *testing.T) {
	for name, arch := range textTowers() {
		m, _, b := textModel(t, arch)
		before, err := m.Evaluate(context.Background(), b)
		if err != nil {
			t.Fatal(err)
		}
		old := append([]float32{}, before.Logits...)
		b.Inputs[8] = 1 // of the first text, whose end is at 4 or 5
		after, err := m.Evaluate(context.Background(), b)
		if err != nil {
			t.Fatal(err)
		}
		k := arch.Outputs()
		for s := range b.Size {
			same := true
			for j := range k {
				same = same && old[s*k+j] == after.Logits[s*k+j]
			}
			if want := s > 0 || arch.Causal; same != want {
				t.Errorf("%s: text %d the same: %v", name, s, same)
			}
		}
	}
}

// A site of a text tower answers queries from its suffix as a whole forward with
// the noise in its weights' place would: an antithetic pair differs, and without
// noise nothing does.
func TestTextSuffix(t *testing.T) {
	for name, arch := range textTowers() {
		m, _, b := textModel(t, arch)
		var sites []int
		for i := range m.Sites() {
			sites = append(sites, i)
		}
		p, err := m.Clean(context.Background(), b, sites)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for i, s := range m.Sites() {
			q := []forward.Query{{Image: 1, Pair: 0, Sign: 1}, {Image: 1, Pair: 0, Sign: -1}}
			out := make([]float32, 2)
			for _, sigma := range []float32{0, 0.3} {
				err := p.Losses(context.Background(), &forward.Perturbation{Sites: []int{i}, Sigma: []float32{sigma}}, q, out)
				if err != nil {
					t.Fatalf("%s: %s: %v", name, s.Name, err)
				}
				clean := float64(p.Clean().Losses[1])
				if near := abs(float64(out[0])-clean) < 1e-5 && abs(float64(out[1])-clean) < 1e-5; near != (sigma == 0) {
					t.Errorf("%s: %s: losses %v at sigma %v, clean %v", name, s.Name, out, sigma, clean)
				}
			}
		}
	}
}

// A learned context stands where ids below 0 name its rows, and nowhere else.
func TestLearnedContext(t *testing.T) {
	with := textTowers()["a learned context"]
	m, w, b := textModel(t, with)
	out, err := m.Evaluate(context.Background(), b)
	if err != nil {
		t.Fatal(err)
	}
	// The same rows as ids of the vocabulary.
	table, learned := w.Params()[w.Index(with.Names.Tokens)], w.Params()[w.Index(ContextName)]
	D := with.Hidden
	copy(table.Data[0:3*D], learned.Data[:3*D])
	m.Reload()
	for i, id := range b.Inputs {
		if id < 0 {
			b.Inputs[i] = -1 - id
		}
	}
	same, err := m.Evaluate(context.Background(), b)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range out.Logits {
		if same.Logits[i] != v {
			t.Fatalf("output %d: %v by ids, %v by the learned context", i, same.Logits[i], v)
		}
	}
	b.Inputs[1] = 99
	if nan, err := m.Evaluate(context.Background(), b); err != nil || nan.Logits[0] == nan.Logits[0] {
		t.Errorf("an id that is none: %v, %v", nan, err)
	}
}
