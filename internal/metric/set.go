package metric

import (
	"fmt"
	"slices"
)

// Set measures several metrics in one pass over the images.
type Set struct {
	task     Task
	standard []*Metric
	chosen   []*Metric
	sums     []sum
	keeps    bool  // some metric takes all images at once
	whole    Batch // the images so far, where it does
	n        int
}

// sum is a metric that adds images up as they come.
type sum struct {
	*Metric
	Accumulator
}

// NewSet begins to measure the standard metrics that can be measured and those
// that are chosen besides. The error is Check's.
func NewSet(t Task, key string, chosen []string) (*Set, error) {
	if err := Check(t, key, chosen); err != nil {
		return nil, err
	}
	s := &Set{task: t}
	for _, n := range Names() {
		m := registered[n]
		standard := m.Standard > 0 && m.lacks(t) == ""
		if standard {
			s.standard = append(s.standard, m)
		}
		if standard || slices.Contains(chosen, n) {
			s.begin(m)
		}
	}
	for i, n := range chosen {
		if !slices.Contains(chosen[:i], n) {
			s.chosen = append(s.chosen, registered[n])
		}
	}
	return s, nil
}

func (s *Set) begin(m *Metric) {
	if m.Whole != nil {
		s.keeps = true
		return
	}
	s.sums = append(s.sums, sum{m, m.New(s.task)})
}

// Add takes the next images. Sizes that do not fit, and a label that names no
// class, are errors.
func (s *Set) Add(b *Batch) error {
	size, texts := b.Size*s.task.Outputs, 0
	if s.task.Aligned {
		texts = size
	}
	if b.Size < 0 || len(b.Losses) != b.Size || len(b.Outputs) != size || len(b.Labels) != b.Size ||
		len(b.Texts) != texts {
		return fmt.Errorf("metric: %d losses, %d outputs, %d labels, %d values of texts: not of %d images with %d outputs",
			len(b.Losses), len(b.Outputs), len(b.Labels), len(b.Texts), b.Size, s.task.Outputs)
	}
	classes := s.task.Outputs
	if s.task.Aligned {
		classes = len(s.task.Classes) / s.task.Outputs
	}
	for _, l := range b.Labels {
		if l < 0 || int(l) >= classes {
			return fmt.Errorf("metric: label %d of %d classes", l, classes)
		}
	}
	s.n += b.Size
	if s.keeps {
		w := &s.whole
		w.Size, w.Losses, w.Outputs = w.Size+b.Size, append(w.Losses, b.Losses...), append(w.Outputs, b.Outputs...)
		w.Labels, w.Texts = append(w.Labels, b.Labels...), append(w.Texts, b.Texts...)
	}
	for _, a := range s.sums {
		if err := a.Add(b); err != nil {
			return fmt.Errorf("metric %s: %w", a.Name, err)
		}
	}
	return nil
}

// Values are those of the standard metrics, and of the chosen ones in the order of
// their choice; nothing without an image.
func (s *Set) Values() (standard, chosen Values, err error) {
	if s.n == 0 {
		return nil, nil, nil
	}
	done := map[string][]float64{}
	collect := func(all []*Metric) (out Values, err error) {
		for _, m := range all {
			v, had := done[m.Name]
			if !had {
				if v, err = s.value(m); err != nil {
					return nil, fmt.Errorf("metric %s: %w", m.Name, err)
				}
				done[m.Name] = v
			}
			out = append(out, Value{m.Name, v})
		}
		return out, nil
	}
	if standard, err = collect(s.standard); err != nil {
		return nil, nil, err
	}
	chosen, err = collect(s.chosen)
	return standard, chosen, err
}

func (s *Set) value(m *Metric) (v []float64, err error) {
	if m.Whole != nil {
		v, err = m.Whole(s.task, &s.whole)
	} else {
		v = s.sums[slices.IndexFunc(s.sums, func(a sum) bool { return a.Metric == m })].Value()
	}
	if err == nil && len(v) != max(1, len(m.At)) {
		err = fmt.Errorf("%d numbers where it is to have %d", len(v), max(1, len(m.At)))
	}
	return v, err
}
