package steps

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/journal"
)

// Record is what one step was made of: with the weights before it, enough
// to compute the weights after it without asking the model for a loss.
type Record struct {
	Step   uint32
	Seed   uint64
	Images []int32  // position in the dataset of each image of the batch
	Counts []uint32 // n_i, queries per perturbation of each image; empty: no allocation (bp)
	// Values are numbers of the run that a replay needs besides, in an order
	// that the run fixes, such as the factor on the learning rate.
	Values []float64
	Parts  []Coefficients
	// Chance is that with which each image was drawn to have its queries; nil where
	// every image has some.
	Chance []float32
}

// Coefficients are what the queries of one perturbation said, image by image and
// direction by direction: a record of the estimators, as a file keeps it.
type Coefficients struct {
	Perturbation forward.Perturbation
	Coefs        []float32
	Mean         []float32 // per direction, where the scale is learned; else nil
	// Share is what each image got of these queries, where the perturbations of the step
	// differ in it; nil: the step's counts and chances.
	Share *forward.Share
}

// Encode frames the step.
func (s *Record) Encode() journal.Record {
	e := encoder{}
	e.u64(s.Seed)
	e.list(len(s.Images), func(i int) { e.u32(uint32(s.Images[i])) })
	// The counts of an allocation nearly always fit two bytes.
	wide := byte(0)
	for _, n := range s.Counts {
		if n > math.MaxUint16 {
			wide = 1
		}
	}
	e.b = append(e.b, wide)
	e.list(len(s.Counts), func(i int) {
		if wide == 1 {
			e.u32(s.Counts[i])
		} else {
			e.b = binary.LittleEndian.AppendUint16(e.b, uint16(s.Counts[i]))
		}
	})
	e.list(len(s.Values), func(i int) { e.u64(math.Float64bits(s.Values[i])) })
	e.list(len(s.Parts), func(i int) {
		p := s.Parts[i]
		e.b = append(e.b, byte(p.Perturbation.Kind))
		e.u32(p.Perturbation.Step)
		e.list(len(p.Perturbation.Sites), func(i int) { e.u32(uint32(p.Perturbation.Sites[i])) })
		e.floats(p.Perturbation.Sigma)
		e.list(len(p.Perturbation.Params), func(i int) { e.u32(uint32(p.Perturbation.Params[i])) })
		e.floats(p.Coefs)
		e.floats(p.Mean)
	})
	s.encodeShares(&e)
	return journal.Record{Step: s.Step, Kind: journal.KindStep, Body: e.b}
}

// encodeShares ends the body with what only some steps have.
func (s *Record) encodeShares(e *encoder) {
	own := slices.ContainsFunc(s.Parts, func(c Coefficients) bool { return c.Share != nil })
	if !own && len(s.Chance) == 0 {
		return
	}
	e.floats(s.Chance)
	if !own {
		return
	}
	for _, c := range s.Parts {
		if c.Share == nil {
			c.Share = &forward.Share{}
		}
		e.list(len(c.Share.Counts), func(i int) { e.u32(uint32(c.Share.Counts[i])) })
		e.floats(c.Share.Chance)
	}
}

// Decode reads what Encode wrote.
func Decode(r journal.Record) (*Record, error) {
	if r.Kind != journal.KindStep {
		return nil, fmt.Errorf("journal: a record of kind %d is no step", r.Kind)
	}
	d := decoder{b: r.Body}
	s := &Record{Step: r.Step, Seed: d.u64()}
	s.Images = list(&d, 4, func() int32 { return int32(d.u32()) })
	switch d.u8() {
	case 0:
		s.Counts = list(&d, 2, func() uint32 { return uint32(d.u16()) })
	case 1:
		s.Counts = list(&d, 4, d.u32)
	default:
		d.bad = true
	}
	s.Values = list(&d, 8, func() float64 { return math.Float64frombits(d.u64()) })
	s.Parts = list(&d, 25, func() Coefficients {
		var c Coefficients
		c.Perturbation.Kind, c.Perturbation.Step = forward.Kind(d.u8()), d.u32()
		c.Perturbation.Sites = list(&d, 4, d.index)
		c.Perturbation.Sigma = list(&d, 4, d.f32)
		c.Perturbation.Params = list(&d, 4, d.index)
		c.Coefs, c.Mean = list(&d, 4, d.f32), list(&d, 4, d.f32)
		return c
	})
	if len(d.b) > 0 {
		s.Chance = list(&d, 4, d.f32)
	}
	if len(d.b) > 0 {
		for i := range s.Parts {
			share := forward.Share{Counts: list(&d, 4, d.index), Chance: list(&d, 4, d.f32)}
			if len(share.Counts) > 0 {
				s.Parts[i].Share = &share
			}
		}
	}
	return s, d.end(r)
}

// encoder appends little-endian numbers; a list is its length and its items.
type encoder struct{ b []byte }

func (e *encoder) u32(v uint32) { e.b = binary.LittleEndian.AppendUint32(e.b, v) }
func (e *encoder) u64(v uint64) { e.b = binary.LittleEndian.AppendUint64(e.b, v) }

func (e *encoder) list(n int, item func(i int)) {
	e.u32(uint32(n))
	for i := range n {
		item(i)
	}
}

func (e *encoder) floats(v []float32) {
	e.list(len(v), func(i int) { e.u32(math.Float32bits(v[i])) })
}

// decoder takes numbers off a body; past its end it gives zeros and is bad.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) take(n int) []byte {
	if d.bad || len(d.b) < n {
		d.bad = true
		return make([]byte, 8)
	}
	v := d.b[:n]
	d.b = d.b[n:]
	return v
}

func (d *decoder) u8() uint8    { return d.take(1)[0] }
func (d *decoder) u16() uint16  { return binary.LittleEndian.Uint16(d.take(2)) }
func (d *decoder) u32() uint32  { return binary.LittleEndian.Uint32(d.take(4)) }
func (d *decoder) u64() uint64  { return binary.LittleEndian.Uint64(d.take(8)) }
func (d *decoder) f32() float32 { return math.Float32frombits(d.u32()) }

// index reads a position in a list of sites or parameters.
func (d *decoder) index() int {
	v := d.u32()
	d.bad = d.bad || v > math.MaxInt32
	return int(v)
}

// list reads a list whose items take at least size bytes each, which bounds
// what is allocated by what is there; an empty one is nil.
func list[T any](d *decoder, size int, item func() T) []T {
	n := int64(d.u32())
	if d.bad || n*int64(size) > int64(len(d.b)) {
		d.bad = true
		return nil
	}
	if n == 0 {
		return nil
	}
	out := make([]T, n)
	for i := range out {
		out[i] = item()
	}
	return out
}

func (d *decoder) end(r journal.Record) error {
	if d.bad || len(d.b) > 0 {
		return fmt.Errorf("journal: step %d: %w", r.Step, errors.New("the record's lists do not fit its length"))
	}
	return nil
}

// Next skips to the journal's next step.
func Next(j *journal.Reader) (*Record, error) {
	for {
		r, err := j.Next()
		if err != nil {
			return nil, err
		}
		if r.Kind == journal.KindStep {
			return Decode(r)
		}
	}
}
