package cluster

import (
	"bytes"
	"encoding/binary"
	"math"
	"reflect"
	"testing"

	"github.com/flops-vit/flops/internal/remote"
	"github.com/flops-vit/flops/internal/testkit"
)

func requests() []*request {
	return []*request{
		{},
		{epoch: 1 << 60, worker: 7, step: 3, have: 99},
		{epoch: 1, worker: 2, digest: &[32]byte{1, 2, 3}},
		{epoch: 1, worker: 2, step: 9, result: &result{step: 9, part: 72, first: 60, images: 4, micros: 1234,
			losses: []float32{1, float32(math.Inf(1)), -2}}},
	}
}

func replies() []*reply {
	return []*reply{
		{}, {kind: again, verdict: stale}, {kind: done},
		{verdict: accepted, kind: task, step: 4, part: 2, first: 8, counts: []uint32{2, 0, 1 << 20}},
		{verdict: known, kind: record, step: 4, length: 10, offset: 6, piece: []byte{1, 2, 3, 4}},
		{kind: leave, piece: []byte("wrong")},
		{kind: asks, step: 3, first: 7, names: []remote.Name{{Image: 5}, {Set: remote.OfTest, Image: 1 << 30},
			{Image: 2, Pair: 9, Sign: -1}}},
	}
}

// TestMessages: a message comes back as it was, and cut or longer it is refused.
func TestMessages(t *testing.T) {
	for _, r := range requests() {
		check(t, r.encode(), r, func(b []byte) (any, error) { return decodeRequest(b) })
	}
	for _, r := range replies() {
		check(t, r.encode(), r, func(b []byte) (any, error) { return decodeReply(b) })
	}
	// 2^32−1 losses are claimed, and none is there.
	lie := (&request{result: &result{}}).encode()
	binary.LittleEndian.PutUint32(lie[len(lie)-4:], math.MaxUint32)
	if n := testkit.Allocated(func() { _, _ = decodeRequest(lie) }); n > 1<<12 {
		t.Errorf("%d bytes allocated on a message's word", n)
	}
	beyond := &reply{kind: record, length: 3, piece: []byte{1, 2, 3, 4}}
	if _, err := decodeReply(beyond.encode()); err == nil {
		t.Error("a piece reaches beyond its record")
	}
}

func check(t *testing.T, raw []byte, want any, decode func([]byte) (any, error)) {
	t.Helper()
	if got, err := decode(raw); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v became %+v, %v", want, got, err)
	}
	for n := range raw {
		if _, err := decode(raw[:n]); err == nil {
			t.Fatalf("%+v, cut to %d of %d bytes, was read", want, n, len(raw))
		}
	}
	if _, err := decode(append(bytes.Clone(raw), 0)); err == nil {
		t.Errorf("%+v with a byte too many was read", want)
	}
}

// FuzzMessages: what can be decoded is encoded to the same bytes.
func FuzzMessages(f *testing.F) {
	for _, r := range requests() {
		f.Add(r.encode())
	}
	for _, r := range replies() {
		f.Add(r.encode())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := decodeRequest(b); err == nil && !bytes.Equal(r.encode(), b) {
			t.Errorf("request %x became %x", b, r.encode())
		}
		if r, err := decodeReply(b); err == nil && !bytes.Equal(r.encode(), b) {
			t.Errorf("reply %x became %x", b, r.encode())
		}
	})
}

// TestSealed: a bit that the network has turned anywhere makes a message none.
func TestSealed(t *testing.T) {
	for _, b := range [][]byte{nil, requests()[3].encode(), replies()[3].encode()} {
		whole := seal(bytes.Clone(b))
		if got := unseal(whole); got == nil || !bytes.Equal(got, b) {
			t.Errorf("%x became %x", b, got)
		}
		for i := range 8 * len(whole) {
			wrong := bytes.Clone(whole)
			wrong[i/8] ^= 1 << (i % 8)
			if unseal(wrong) != nil {
				t.Fatalf("bit %d of %x was turned, and nobody saw it", i, whole)
			}
		}
		t.Logf("%d bits flipped", 8*len(whole))
	}
	for n := range 4 {
		if unseal(make([]byte, n)) != nil {
			t.Errorf("%d bytes are a message", n)
		}
	}
}
