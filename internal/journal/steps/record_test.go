package steps

import (
	"bytes"
	"encoding/binary"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/journal"
	"github.com/flops-vit/flops/internal/testkit"
)

func record(step uint32) *Record {
	return &Record{Step: step, Seed: 1<<63 + uint64(step), Images: []int32{5, 0, math.MaxInt32, int32(step)},
		Counts: []uint32{8, 2, 14, 8},
		Values: []float64{0.1, math.Inf(-1)},
		Parts: []Coefficients{
			{Perturbation: forward.Perturbation{Kind: forward.Activations, Step: step, Sites: []int{31, 36},
				Sigma: []float32{0.01, 0.02}},
				Coefs: testkit.Fill(16, float64(step)), Mean: []float32{0.5}},
			{Perturbation: forward.Perturbation{Kind: forward.Weights, Step: step, Sigma: []float32{1e-3},
				Params: []int{1, 2, 103}},
				Coefs: []float32{float32(math.Inf(1)), -0.25}},
		}}
}

func TestRecord(t *testing.T) {
	wide := record(9)
	wide.Counts[2] = 70000
	drawn := record(8)
	drawn.Chance = []float32{0.25, 1, 0.5, 1}
	own := record(10)
	own.Parts[1].Share = &forward.Share{Counts: []int{2, 0, 70000, 1}, Chance: []float32{1, 0.5, 1, 0.125}}
	// A record may end where what only some steps have begins.
	plain := len(record(8).Encode().Body)
	ends := map[*Record][]int{drawn: {plain}, own: {plain, plain + 4}}
	for _, s := range []*Record{record(7), wide, drawn, own, {Step: 3, Seed: 1}} {
		r := s.Encode()
		got, err := Decode(r)
		if err != nil || !reflect.DeepEqual(got, s) {
			t.Errorf("%+v became %+v, %v", s, got, err)
		}
		for n := range r.Body {
			if slices.Contains(ends[s], n) {
				continue
			}
			if _, err := Decode(journal.Record{Step: r.Step, Kind: r.Kind, Body: r.Body[:n]}); err == nil {
				t.Fatalf("a record cut to %d bytes was read", n)
			}
		}
		if _, err := Decode(journal.Record{Step: r.Step, Kind: r.Kind, Body: append(bytes.Clone(r.Body), 0)}); err == nil {
			t.Error("a record with a byte too many was read")
		}
	}
	if _, err := Decode(journal.Record{Step: 4, Kind: journal.KindAnswer, Body: record(1).Encode().Body}); err == nil {
		t.Error("an answer was read as a step")
	}
	claim := binary.LittleEndian.AppendUint32(make([]byte, 8), math.MaxUint32) // 2^32−1 images
	record := journal.Record{Step: 1, Kind: journal.KindStep, Body: claim}
	if n := testkit.Allocated(func() { _, _ = Decode(record) }); n > 1<<16 {
		t.Errorf("%d bytes allocated on a record's word", n)
	}
}

// FuzzRecord: a step that can be decoded is encoded to one that decodes the same.
func FuzzRecord(f *testing.F) {
	f.Add([]byte{})
	f.Add(record(1).Encode().Body)
	f.Add((&Record{}).Encode().Body)
	f.Fuzz(func(t *testing.T, body []byte) {
		s, err := Decode(journal.Record{Step: 1, Kind: journal.KindStep, Body: body})
		if err != nil {
			return
		}
		again, err := Decode(s.Encode())
		if err != nil || !reflect.DeepEqual(again.Encode(), s.Encode()) {
			t.Fatalf("%+v became %+v, %v", s, again, err)
		}
	})
}

func BenchmarkJournal(b *testing.B) {
	j, err := journal.Create(fsys.OS, filepath.Join(b.TempDir(), "journal.bin"), [32]byte{})
	if err != nil {
		b.Fatal(err)
	}
	// 64 images, 7 sites, 4 pairs each
	s := &Record{Images: make([]int32, 64), Counts: make([]uint32, 64)}
	for range 7 {
		s.Parts = append(s.Parts,
			Coefficients{Perturbation: forward.Perturbation{Sites: []int{1}, Sigma: []float32{1}}, Coefs: testkit.Fill(256, 1)})
	}
	for b.Loop() {
		if err := j.Append(s.Encode()); err != nil {
			b.Fatal(err)
		}
	}
}
