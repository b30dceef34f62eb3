package data

import (
	"fmt"
	"iter"
	"slices"
	"sync"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/uierr"
	"github.com/flops-vit/flops/noise"
)

// LoaderConfig says how a dataset becomes batches.
type LoaderConfig struct {
	BatchSize  int
	Seed       uint64
	Shuffle    bool       // a new order every epoch; else that of the dataset
	Transform  *Transform // its Flip and Crop apply to Batch, not to Sequential
	Workers    int        // decoding goroutines, 0: every core
	CacheBytes int64      // bound of the decoded images that are kept, 0: DefaultCacheBytes, below 0: none
	Levels     bool       // batches carry bytes (forward.Levels), for a model that makes inputs of them
	Ahead      int        // batches prepared ahead of the step, 0: 2
	Variants   int        // augmentations of an image, which epochs take in turn; 0: a new one every epoch
}

// Kept is what is kept of a dataset's images, by record (Loader.Record). Has may be
// asked by several goroutines.
type Kept interface {
	Has(record int) bool
	Recall(record int, buf []float32) ([]float32, error)
	Keep(record int, made []float32) error
}

// DefaultCacheBytes is 512 MiB of decoded images at the model's size.
const DefaultCacheBytes = 512 << 20

// Loader serves the batch of any step. The images of a step, their order and
// their augmentation follow from (Seed, step) alone, so that a run that resumes
// at a step sees the same bytes, with any number of workers. An epoch is
// StepsPerEpoch steps; the images left over by the last of them are dropped
// (another few in each shuffled epoch).
//
// A Loader is used by one goroutine at a time. It does not own its dataset.
type Loader struct {
	ds     Dataset
	cfg    LoaderConfig
	cache  *imageCache
	tasks  chan task
	done   sync.WaitGroup
	slots  []*slot // batches handed out, prepared or free
	out    *slot   // the one that the caller holds
	orders [2]order
	kept   Kept // nil: nothing is kept
}

// slot is the room for one batch.
type slot struct {
	batch   forward.Batch
	errs    []error
	step    int // -1: free
	epoch   int // of the augmentation, -1: none
	pending sync.WaitGroup
	filled  []bool // per image: Inputs holds it
	memory  memory
}

type task struct {
	*slot
	at   int
	fill bool // though something is kept of the image
}

// order is the permutation of an epoch.
type order struct {
	epoch int
	perm  []int
}

// NewLoader starts the decoding goroutines; Close ends them.
func NewLoader(ds Dataset, cfg LoaderConfig) (*Loader, error) {
	if cfg.BatchSize < 1 {
		return nil, uierr.New(fmt.Sprintf("train.batch_size: %d images", cfg.BatchSize), "give a positive number")
	}
	if cfg.BatchSize > ds.Len() {
		return nil, uierr.New(fmt.Sprintf("train.batch_size: %d images, and the split has %d", cfg.BatchSize, ds.Len()),
			"give a smaller batch or more data")
	}
	if cfg.CacheBytes == 0 {
		cfg.CacheBytes = DefaultCacheBytes
	}
	if cfg.Ahead <= 0 {
		cfg.Ahead = 2
	}
	l := &Loader{ds: ds, cfg: cfg, cache: newImageCache(ds.Len(), cfg.CacheBytes)}
	l.orders[0].epoch, l.orders[1].epoch = -1, -1
	l.tasks = make(chan task, (cfg.Ahead+2)*cfg.BatchSize)
	for range cfg.Ahead + 1 {
		l.slots = append(l.slots, l.newSlot(cfg.BatchSize))
	}
	for range workers(cfg.Workers) {
		l.done.Go(func() {
			for t := range l.tasks {
				t.errs[t.at] = l.make(t)
				t.pending.Done()
			}
		})
	}
	return l, nil
}

func (l *Loader) newSlot(images int) *slot {
	s := &slot{step: -1, errs: make([]error, images), filled: make([]bool, images), batch: forward.Batch{
		Labels: make([]int32, images), Index: make([]int32, images)}}
	if l.cfg.Levels {
		s.batch.Levels = &forward.Levels{Data: make([]uint8, images*l.pixels()), Table: l.cfg.Transform.Table()}
	} else {
		s.batch.Inputs = make([]float32, images*l.pixels())
	}
	s.memory = memory{l: l, slot: s}
	return s
}

// pixels is the number of values of one image.
func (l *Loader) pixels() int {
	t := l.cfg.Transform
	return t.Channels * t.Size * t.Columns()
}

// StepsPerEpoch is the number of whole batches in the dataset.
func (l *Loader) StepsPerEpoch() int { return l.ds.Len() / l.cfg.BatchSize }

// Epoch is the epoch that a step belongs to, from 0.
func (l *Loader) Epoch(step int) int { return step / l.StepsPerEpoch() }

// Batch returns the images of a step and starts on those of the steps after
// it. The batch is valid until the next call. An image that cannot be read is
// the error, a *uierr.Error that names it: the one that comes first in the
// batch, whichever worker meets it.
func (l *Loader) Batch(step int) (*forward.Batch, error) {
	if step < 0 {
		return nil, fmt.Errorf("data: batch of step %d", step)
	}
	if l.out != nil {
		l.out.step, l.out = -1, nil
	}
	for _, s := range l.slots { // after a jump, what was prepared for other steps
		if s.step >= 0 && (s.step < step || s.step > step+l.cfg.Ahead) {
			s.pending.Wait()
			s.step = -1
		}
	}
	for k := step; k <= step+l.cfg.Ahead; k++ {
		if l.slot(k) == nil {
			l.start(l.slot(-1), k)
		}
	}
	s := l.slot(step)
	l.out = s
	return s.wait()
}

// slot finds the one that holds a step, or a free one for -1.
func (l *Loader) slot(step int) *slot {
	for _, s := range l.slots {
		if s.step == step {
			return s
		}
	}
	return nil
}

// start hands the images of a step to the workers.
func (l *Loader) start(s *slot, step int) {
	s.step, s.epoch = step, l.Epoch(step)
	for i, image := range l.images(step) {
		s.batch.Index[i] = int32(image)
	}
	l.submit(s, l.cfg.BatchSize)
}

// images are those of a step, in their order.
func (l *Loader) images(step int) iter.Seq2[int, int] {
	first, n := step%l.StepsPerEpoch()*l.cfg.BatchSize, l.cfg.BatchSize
	if l.cfg.Shuffle {
		return slices.All(l.order(l.Epoch(step))[first : first+n])
	}
	return func(yield func(int, int) bool) {
		for i := 0; i < n && yield(i, first+i); i++ {
		}
	}
}

// submit hands the first n images of a slot to the workers.
func (l *Loader) submit(s *slot, n int) {
	s.batch.Size, s.batch.Memory = n, nil
	if l.remembers(s) {
		s.batch.Memory = &s.memory
	}
	clear(s.filled)
	s.pending.Add(n)
	for i := range n {
		l.tasks <- task{slot: s, at: i}
	}
}

// order is the permutation of an epoch; those of the two last epochs asked for
// are kept, since prefetching looks over the end of one.
func (l *Loader) order(epoch int) []int {
	o := &l.orders[epoch%2]
	if o.epoch != epoch {
		o.epoch, o.perm = epoch, noise.Rand(l.cfg.Seed, noise.Shuffle, uint32(epoch)).Perm(l.ds.Len())
	}
	return o.perm
}

// wait returns the batch when its images are there.
func (s *slot) wait() (*forward.Batch, error) {
	s.pending.Wait()
	for _, err := range s.errs[:s.batch.Size] {
		if err != nil {
			return nil, err
		}
	}
	return &s.batch, nil
}

// make makes one image of a batch, or only its label where that is not needed.
func (l *Loader) make(t task) error {
	s, at := t.slot, t.at
	i := int(s.batch.Index[at])
	s.batch.Labels[at] = int32(l.ds.Info(i).Label)
	if s.batch.Memory != nil && !t.fill && l.kept.Has(l.record(s, i)) {
		return nil
	}
	im, err := l.cache.get(i, func() (*Image, error) {
		im, err := l.ds.Image(i)
		if err != nil {
			return nil, err
		}
		return l.cfg.Transform.Fit(im, l.ds.Info(i).Path)
	})
	if err != nil {
		return err
	}
	var g *noise.Generator
	if s.epoch >= 0 && l.Augments() {
		g = noise.Rand(l.cfg.Seed, noise.Augment, uint32(l.draw(s.epoch)), uint32(i))
	}
	n := l.pixels()
	if s.batch.Levels != nil {
		l.cfg.Transform.WriteLevels(s.batch.Levels.Data[at*n:(at+1)*n], im, g)
	} else {
		l.cfg.Transform.Write(s.batch.Inputs[at*n:(at+1)*n], im, g)
	}
	s.filled[at] = true
	return nil
}

// Transform is how images are prepared.
func (l *Loader) Transform() *Transform { return l.cfg.Transform }

// Augments says that the images of a step differ from those of Sequential.
func (l *Loader) Augments() bool { return l.cfg.Transform.Flip || l.cfg.Transform.Crop }

// draw numbers the augmentations of an epoch.
func (l *Loader) draw(epoch int) int {
	if l.cfg.Variants > 0 {
		return epoch % l.cfg.Variants
	}
	return epoch
}

// Close waits for the work under way and ends the goroutines.
func (l *Loader) Close() error {
	for _, s := range l.slots {
		s.pending.Wait()
	}
	close(l.tasks)
	l.done.Wait()
	return nil
}
