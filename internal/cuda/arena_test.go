package cuda

import (
	"fmt"
	"strings"
	"testing"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/internal/uierr"
	"github.com/flops-vit/flops/internal/vit"
)

func TestArena(t *testing.T) {
	h := newHostDriver(t)
	m := NewMeasure()
	for _, n := range []int64{1, 256, 257} {
		if _, err := m.Take("x", n); err != nil {
			t.Fatal(err)
		}
	}
	if m.Used() != 256*4 {
		t.Errorf("measured %d bytes, want 1024", m.Used())
	}
	a, err := NewArena(h, m.Used(), "train.batch_size")
	if err != nil {
		t.Fatal(err)
	}
	p, err := a.Take("weights", 300)
	if err != nil || p%alignment != 0 {
		t.Fatalf("Take: %v, %v", p, err)
	}
	q, err := a.Take("noise", 512)
	if err != nil || q != p+512 {
		t.Fatalf("the second piece is at %d after %d: %v", q, p, err)
	}
	if _, err := a.Take("too much", 1); err == nil {
		t.Error("a full arena gave memory")
	} else if s := err.Error(); !strings.Contains(s, "too much") || !strings.Contains(s, "weights 0.5 KiB") {
		t.Errorf("the refusal says %q", s)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
}

// TestPreflight refuses a run before it starts, and says what to lower.
func TestPreflight(t *testing.T) {
	net, b := network(t, tiny, 4, true)
	h := newHostDriver(t)
	h.total = 2 << 20
	m, err := NewModel(h, net, Options{Loss: objective.CE{}})
	if err != nil {
		t.Fatal(err)
	}
	w := &twins{t: t}
	_, err = m.Clean(t.Context(), b, []int{1})
	u, ok := uierr.As(err)
	if !ok || !strings.Contains(u.Hint, "train.batch_size") || !strings.Contains(u.What, "are free") {
		t.Errorf("a batch that does not fit gives %v", err)
	}
	w.ok(m.Close())
}

// TestTightMemory gives the device room for a few slots only: the micro-batches
// shrink and the numbers stay.
func TestTightMemory(t *testing.T) {
	run := func(total int64) (losses []float32, slots int, err error) {
		net, b := network(t, tiny, 6, true)
		h := newHostDriver(t)
		h.total = total
		m, err := NewModel(h, net, Options{Loss: objective.CE{}, Mask: true})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if e := m.Close(); e != nil {
				t.Error(e)
			}
		}()
		pass, err := m.Clean(t.Context(), b, []int{2})
		if err != nil {
			return nil, 0, err
		}
		q, _ := queries(6, 4)
		losses = make([]float32, len(q))
		err = pass.Losses(t.Context(), &forward.Perturbation{Step: 1, Sites: []int{2}, Sigma: []float32{0.1}}, q,
			losses)
		return losses, m.b.progs[fmt.Sprint(vit.Forward{Sites: []int{2}})].Slots, err
	}
	want, most, err := run(1 << 30)
	if err != nil {
		t.Fatal(err)
	}
	got, slots, err := run(leastMemory(t, 6, []int{2}))
	if err != nil {
		t.Fatal(err)
	}
	if slots >= most {
		t.Errorf("%d slots with little memory, %d with much", slots, most)
	}
	equal(t, "losses", got, want)
}

// leastMemory is about the smallest device that takes a batch of tiny's images
// with these sites.
func leastMemory(t *testing.T, images int, sites []int) int64 { return leastOf(t, tiny, images, sites) }

// leastOf is leastMemory of a network.
func leastOf(t *testing.T, a vit.Architecture, images int, sites []int) int64 {
	t.Helper()
	for total := int64(1 << 20); ; total += 128 << 10 {
		net, b := network(t, a, images, true)
		h := newHostDriver(t)
		h.total = total
		m, err := NewModel(h, net, Options{Loss: objective.CE{}, Mask: true})
		if err != nil {
			t.Fatal(err)
		}
		_, err = m.Clean(t.Context(), b, sites)
		if e := m.Close(); e != nil {
			t.Error(e)
		}
		if _, refused := uierr.As(err); !refused || total > 64<<20 {
			if err != nil {
				t.Fatal(err)
			}
			return total
		}
	}
}
