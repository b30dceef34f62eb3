package data

import "github.com/flops-vit/flops/forward"

// Records is the number of different images that the loader's steps consist of,
// each of which can be kept as a record; 0 where every epoch makes new ones.
func (l *Loader) Records() int { return l.ds.Len() * l.draws() }

// draws is the number of augmentations that an image has, 0 where there is no end.
func (l *Loader) draws() int {
	if l.Augments() {
		return l.cfg.Variants
	}
	return 1
}

// Remember has batches say what is kept of their images, and leaves out the pixels
// of those of which something is. It may be called between two batches; nil:
// nothing is kept any more. Without Records there is nothing to remember.
func (l *Loader) Remember(k Kept) {
	for _, s := range l.slots {
		s.pending.Wait()
	}
	l.kept = k
	for _, s := range l.slots { // what is prepared has its pixels, or can be asked for them
		s.memory.bufs = nil
		if s.batch.Memory = nil; l.remembers(s) {
			s.batch.Memory = &s.memory
		}
	}
}

// Image is the image of the dataset that a record is made of.
func (l *Loader) Image(record int) int { return record / l.draws() }

// record numbers an image of a slot: augmentation by augmentation of each image.
func (l *Loader) record(s *slot, image int) int {
	if !l.Augments() {
		return image
	}
	return image*l.draws() + l.draw(s.epoch)
}

// RecordsOf are the records that the images of a step are.
func (l *Loader) RecordsOf(step int) []int {
	s := &slot{epoch: l.Epoch(step)}
	out := make([]int, l.cfg.BatchSize)
	for i, image := range l.images(step) {
		out[i] = l.record(s, image)
	}
	return out
}

// remembers says whether something can be kept of a slot's images: not of those
// that Sequential leaves as they are where steps have others.
func (l *Loader) remembers(s *slot) bool {
	return l.kept != nil && l.draws() > 0 && (s.epoch >= 0 || !l.Augments())
}

// memory is forward.Memory of a slot.
type memory struct {
	l    *Loader
	slot *slot
	bufs [][]float32 // per image, what was recalled last
}

var _ forward.Memory = (*memory)(nil)

func (m *memory) record(i int) int { return m.l.record(m.slot, int(m.slot.batch.Index[i])) }

// Recall is what is kept of an image, in memory of the slot where the cache has it
// elsewhere.
func (m *memory) Recall(i int) (kept []float32, err error) {
	if len(m.bufs) == 0 {
		m.bufs = make([][]float32, len(m.slot.filled))
	}
	if kept, err = m.l.kept.Recall(m.record(i), m.bufs[i]); kept != nil {
		m.bufs[i] = kept
	}
	return kept, err
}

func (m *memory) Keep(i int, made []float32) error { return m.l.kept.Keep(m.record(i), made) }

// Fill decodes the images that were left out.
func (m *memory) Fill(items []int) error {
	s := m.slot
	need := func(i int) {
		if !s.filled[i] {
			s.pending.Add(1)
			m.l.tasks <- task{s, i, true}
		}
	}
	if items == nil {
		for i := range s.batch.Size {
			need(i)
		}
	}
	for _, i := range items {
		need(i)
	}
	_, err := s.wait()
	return err
}
