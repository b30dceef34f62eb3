package alloc

import (
	"encoding/json"
	"fmt"
	"math"
)

// Observe learns from a step that is over.
func (s *Sharer) Observe(step int, ids []int32, seen []Seen) {
	for _, p := range seen {
		if s.follow(p); s.o.Scope != ByImage {
			if a, err := s.of(p.Key); err == nil {
				a.Observe(Feedback{Step: step, IDs: ids, Counts: p.Share.Counts, Chance: p.Share.Chance,
					Variance: p.Variance})
			}
		}
	}
	if s.o.Scope == ByImage && len(seen) > 0 {
		sh := seen[0].Share
		s.inner[""].Observe(Feedback{Step: step, IDs: ids, Counts: sh.Counts, Chance: sh.Chance,
			Variance: s.Combined(seen, len(ids))})
	}
}

// Combined is V̂_i over the parts, each divided by what Standardise divides by; NaN of
// an item that none of them asked. It learns nothing.
func (s *Sharer) Combined(seen []Seen, items int) []float64 {
	out, missed := make([]float64, items), make([]float64, items)
	for _, p := range seen {
		scale := s.scale(p.Key)
		for i, v := range p.Variance {
			if v == v {
				out[i] += v / scale
			} else {
				missed[i]++
			}
		}
	}
	for i, m := range missed {
		if m > 0 { // the others stand for those; none does where all are missed
			out[i] *= float64(len(seen)) / (float64(len(seen)) - m)
		}
	}
	return out
}

// Ratio is ShareRatio of all that the parts showed, each divided as in Combined: the
// variance that the shares had over that of equal ones.
func (s *Sharer) Ratio(seen []Seen) float64 {
	if s.o.Scope == ByImage && len(seen) > 0 {
		return ShareRatio(s.Combined(seen, len(seen[0].Variance)), seen[0].Share)
	}
	var got, equal, total float64
	for _, p := range seen {
		for _, n := range p.Share.Counts {
			total += float64(n) / float64(len(seen))
		}
	}
	for _, p := range seen {
		scale, mean := s.scale(p.Key), total/float64(max(1, len(p.Variance)))
		for i, v := range p.Variance {
			if n := float64(p.Share.Counts[i]); n > 0 && v > 0 && !math.IsInf(v, 1) {
				pi := p.Share.chance(i)
				got += v / scale / (pi * pi * n)
				equal += v / scale / (pi * mean)
			}
		}
	}
	if equal == 0 {
		return 1
	}
	return got / equal
}

// scale is what a part's variances are divided by.
func (s *Sharer) scale(key string) float64 {
	st := s.parts[key]
	if !s.o.Standardise || st == nil || !(st.Square > 0) {
		return 1
	}
	return st.Square / st.Weight
}

// follow keeps the running means of a part.
func (s *Sharer) follow(p Seen) {
	var root, n float64
	for i, v := range p.Variance {
		if v >= 0 && !math.IsInf(v, 1) {
			w := 1.0
			if p.Share.Chance != nil {
				w /= float64(p.Share.Chance[i])
			}
			root, n = root+w*math.Sqrt(v), n+w
		}
	}
	if n == 0 || !(p.Square >= 0) || math.IsInf(p.Square, 1) {
		return
	}
	st := s.parts[p.Key]
	if st == nil {
		st = &partState{}
		s.parts[p.Key] = st
	}
	st.Root = partKeep*st.Root + (1-partKeep)*root/n
	st.Square = partKeep*st.Square + (1-partKeep)*p.Square
	st.Weight = partKeep*st.Weight + (1 - partKeep)
}

// sharerState is what State writes.
type sharerState struct {
	Sharer int // 1
	Parts  map[string]*partState
	Inner  map[string][]byte
}

// State is that of the one allocator where nothing else was learned, and else JSON.
func (s *Sharer) State() ([]byte, error) {
	if s.o.Scope == ByImage && !s.o.Standardise {
		return s.inner[""].State()
	}
	st := sharerState{Sharer: 1, Parts: s.parts, Inner: map[string][]byte{}}
	for key, a := range s.inner {
		b, err := a.State()
		if err != nil {
			return nil, err
		}
		st.Inner[key] = b
	}
	return json.Marshal(st)
}

// Restore takes back what State gave.
func (s *Sharer) Restore(b []byte) error {
	if s.o.Scope == ByImage && !s.o.Standardise {
		return s.inner[""].Restore(b)
	}
	var st sharerState
	if err := json.Unmarshal(b, &st); err != nil || st.Sharer != 1 {
		return fmt.Errorf("alloc: sharer: state of another allocator: %w", err)
	}
	for key, inner := range st.Inner {
		a, err := s.of(key)
		if err != nil {
			return err
		}
		if err := a.Restore(inner); err != nil {
			return err
		}
	}
	s.parts = map[string]*partState{}
	for key, p := range st.Parts {
		if p == nil {
			return fmt.Errorf("alloc: sharer: state of part %s is empty", key)
		}
		s.parts[key] = p
	}
	return nil
}
