package data

import (
	"fmt"
	"hash/fnv"
	"os"
	"slices"
	"testing"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/testkit"
)

// sum stands for the bytes of a batch.
func sum(b *forward.Batch) string {
	h := fnv.New64a()
	fmt.Fprint(h, b.Size, b.Labels, b.Index, b.Inputs)
	return fmt.Sprintf("%x", h.Sum64())
}

func newLoader(tb testing.TB, ds Dataset, cfg LoaderConfig, augment ...string) *Loader {
	tb.Helper()
	var err error
	if cfg.Transform, err = NewTransform(8, 3, nil, nil, augment); err != nil {
		tb.Fatal(err)
	}
	l, err := NewLoader(ds, cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { l.Close() })
	return l
}

func batch(tb testing.TB, l *Loader, step int) *forward.Batch {
	tb.Helper()
	b, err := l.Batch(step)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// TestBatchesDependOnTheStepAlone takes the steps in order with one worker and
// holds every other way of asking against that.
func TestBatchesDependOnTheStepAlone(t *testing.T) {
	ds := open(t, makeFolder(t, 11, "a", "b"), Train)
	cfg := LoaderConfig{BatchSize: 4, Seed: 7, Shuffle: true, Workers: 1}
	var want []string
	l := newLoader(t, ds, cfg, "flip", "crop")
	for step := range 23 {
		want = append(want, sum(batch(t, l, step)))
	}
	for _, workers := range []int{1, 2, 5} {
		for _, cache := range []int64{-1, 3 * 8 * 8 * 5, 0} {
			cfg.Workers, cfg.CacheBytes = workers, cache
			l := newLoader(t, ds, cfg, "flip", "crop")
			for _, step := range []int{7, 8, 9, 22, 0, 1, 1, 4, 3, 15, 16, 17, 18} {
				if sum(batch(t, l, step)) != want[step] {
					t.Errorf("%d workers, cache %d: step %d differs", workers, cache, step)
				}
			}
		}
	}
	cfg.Seed = 8
	if sum(batch(t, newLoader(t, ds, cfg, "flip", "crop"), 0)) == want[0] {
		t.Error("the seed changes nothing")
	}
}

func TestEpochsArePermutations(t *testing.T) {
	ds := open(t, makeFolder(t, 10, "a", "b"), Train)
	l := newLoader(t, ds, LoaderConfig{BatchSize: 5, Shuffle: true})
	var first []int32
	for epoch := range 3 {
		var seen []int32
		for k := range l.StepsPerEpoch() {
			step := epoch*l.StepsPerEpoch() + k
			if l.Epoch(step) != epoch {
				t.Errorf("step %d is in epoch %d", step, l.Epoch(step))
			}
			b := batch(t, l, step)
			for i, at := range b.Index {
				if int(b.Labels[i]) != ds.Info(int(at)).Label {
					t.Fatal("a label of another image")
				}
			}
			seen = append(seen, b.Index...)
		}
		if epoch == 0 {
			first = slices.Clone(seen)
		} else if slices.Equal(seen, first) {
			t.Error("the order is the same every epoch")
		}
		slices.Sort(seen)
		for i, at := range seen {
			if int(at) != i {
				t.Fatalf("epoch %d: %v", epoch, seen)
			}
		}
	}
}

func TestSequential(t *testing.T) {
	ds := open(t, makeFolder(t, 5, "a", "b"), Train)
	l := newLoader(t, ds, LoaderConfig{BatchSize: 2, Shuffle: true}, "flip", "crop")
	plain := newLoader(t, ds, LoaderConfig{BatchSize: 10})
	whole := slices.Clone(batch(t, plain, 0).Inputs)
	var x []float32
	var index []int32
	var sizes []int
	for b, err := range l.Sequential(4) {
		if err != nil {
			t.Fatal(err)
		}
		sizes, index, x = append(sizes, b.Size), append(index, b.Index...), append(x, b.Inputs...)
	}
	if !slices.Equal(sizes, []int{4, 4, 2}) || !slices.IsSorted(index) || !slices.Equal(x, whole) {
		t.Errorf("sizes %v, index %v", sizes, index)
	}
	for range l.Sequential(3) {
		break
	}
	if b := batch(t, l, 0); b.Size != 2 {
		t.Error("the loader does not go on after a loop was left")
	}
}

func TestLoaderErrorNamesTheFirstImage(t *testing.T) {
	cfg := makeFolder(t, 8, "a")
	ds := open(t, cfg, Train)
	for _, i := range []int{5, 6} {
		if err := os.Remove(ds.Info(i).Path); err != nil {
			t.Fatal(err)
		}
	}
	l := newLoader(t, ds, LoaderConfig{BatchSize: 4, Workers: 4})
	batch(t, l, 0)
	for range 5 {
		_, err := l.Batch(1)
		refused(t, err, ds.Info(5).Path)
	}
	n := 0
	for b, err := range l.Sequential(4) {
		if n++; n == 2 && (err == nil || b != nil) {
			t.Error("the broken image passed")
		}
	}
	if n != 2 {
		t.Errorf("%d batches", n)
	}
	write(t, pngOf(t, picture(8, 8, 5).RGBA()), ds.Info(5).Path)
	write(t, pngOf(t, picture(8, 8, 6).RGBA()), ds.Info(6).Path)
	batch(t, l, 1) // it is back
}

func TestLoaderMistakes(t *testing.T) {
	ds := open(t, makeFolder(t, 2, "a"), Train)
	_, err := NewLoader(ds, LoaderConfig{BatchSize: 3})
	refused(t, err, "batch_size", "3 images", "has 2")
	_, err = NewLoader(ds, LoaderConfig{})
	refused(t, err, "batch_size")
}

func TestLoaderAllocatesNothingInTheSteadyState(t *testing.T) {
	ds := open(t, makeFolder(t, 32, "a", "b"), Train)
	l := newLoader(t, ds, LoaderConfig{BatchSize: 64, Shuffle: true, Workers: 2}, "flip", "crop")
	step := 0
	next := func() { batch(t, l, step); step++ }
	for range 5 {
		next()
	}
	// One permutation of 64 images and, per image, at most one generator of the
	// random choices (112 bytes or so); no pixels.
	if n := testkit.Allocations(t, 20, next); n > 64+8 {
		t.Errorf("%v allocations a step", n)
	}
}

func BenchmarkLoader(b *testing.B) {
	for _, cache := range []int64{-1, 0} {
		b.Run(map[int64]string{-1: "decode", 0: "cached"}[cache], func(b *testing.B) {
			ds := open(b, dataConfig("folder", shared(b, "data/cifar5")), Train)
			t, err := NewTransform(32, 3, nil, nil, []string{"flip", "crop"})
			if err != nil {
				b.Fatal(err)
			}
			l, err := NewLoader(ds, LoaderConfig{BatchSize: 64, Shuffle: true, Transform: t, CacheBytes: cache})
			if err != nil {
				b.Fatal(err)
			}
			defer l.Close()
			for step := range l.StepsPerEpoch() {
				batch(b, l, step)
			}
			b.ReportAllocs()
			step := 0
			for b.Loop() {
				batch(b, l, step)
				step++
			}
			b.ReportMetric(64*float64(b.N)/b.Elapsed().Seconds(), "images/s")
		})
	}
}
