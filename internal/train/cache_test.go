package train

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/lr"
	"github.com/flops-vit/flops/internal/runs"
	"github.com/flops-vit/flops/internal/uierr"
)

// frozen are experiments of which the first block stands still, one of each way to
// make a gradient.
func frozen() map[string]config.Config {
	base := func(estimator, schedule string, augment ...string) config.Config {
		c := tiny()
		c.Sites.Blocks, c.Data.Augment, c.Data.Count = "last-1", augment, 24
		c.Train.Steps, c.Train.EvalEvery, c.Checkpoint.Every, c.Train.Threads = 12, 4, 4, 2
		c.Estimator.Name, c.Estimator.Schedule = estimator, schedule
		c.Estimator.Own = lr.LearnSigma.With(c.Estimator.Own, estimator == "activation")
		return c
	}
	out := map[string]config.Config{"joint": base("activation", "joint"), "bp": base("bp", ""),
		"weight": base("weight", "")}
	c := base("activation", "per_site", "flip", "crop")
	c.Data.Variants, c.Data.Validation, c.Sites.Params = 2, 0.25, []string{"norm"}
	out["variants"] = c
	out["fresh"] = base("activation", "random_site", "flip")
	return out
}

// TestCache: with a cache in memory or in files every run takes the steps of one
// without, also where it is stopped and resumed and where it is replayed; it asks
// as many queries and makes fewer operations.
func TestCache(t *testing.T) {
	for name, c := range frozen() {
		t.Run(name, func(t *testing.T) {
			c.Train.Cache = "off"
			want := whole(t, c)
			for _, mode := range []string{"memory", "disk"} {
				c.Train.Cache = mode
				got := whole(t, c)
				saved := ledgerOf(t, got)
				without := ledgerOf(t, want)
				for _, p := range runs.Purposes() {
					a, b := saved.Of(p), without.Of(p)
					fewer := p == runs.Evaluation || p == runs.CleanPass && name != "fresh"
					if a.Queries != b.Queries || fewer != (a.FLOPs < b.FLOPs) || !fewer && a.FLOPs != b.FLOPs {
						t.Errorf("%s, %s: %d queries and %d operations, %d and %d without a cache", mode, p, a.Queries, a.FLOPs,
							b.Queries, b.FLOPs)
					}
				}
				sameFiles(t, got, want, c.Train.Steps)
				same(t, broken(t, c, 7), got, c.Train.Steps)
				r, err := Replay(context.Background(), open(t, c), got, c.Train.Steps)
				if err != nil {
					t.Fatal(err)
				}
				weights(t, r, want)
			}
		})
	}
}

// broken is a run that is stopped after a step between two checkpoints, and goes on
// from the last.
func broken(t *testing.T, c config.Config, stop int) string {
	t.Helper()
	dir := t.TempDir()
	n := 0
	each := func(*Trainer) error {
		if n++; n == stop {
			return context.Canceled
		}
		return nil
	}
	if _, err := Run(t.Context(), open(t, c), RunOptions{Dir: dir, Watch: &quiet{}, Each: each}); err == nil {
		t.Fatal("the run was not stopped")
	}
	if _, err := Run(t.Context(), open(t, c), RunOptions{Dir: dir, Watch: &quiet{}, Resume: true}); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestVariants: an image has as many augmentations as the config says, the first of
// which are those of the first epochs without a limit.
func TestVariants(t *testing.T) {
	c := frozen()["variants"]
	x := open(t, c)
	if n := x.Loader.Records(); n != 2*x.TrainData.Len() {
		t.Errorf("%d records of %d images", n, x.TrainData.Len())
	}
	pixels := func(c config.Config, epochs int) map[int32][]string {
		x := open(t, c)
		out := map[int32][]string{}
		for step := range epochs * x.Loader.StepsPerEpoch() {
			b, err := x.Loader.Batch(step)
			if err != nil {
				t.Fatal(err)
			}
			n := len(b.Inputs) / b.Size
			for i, at := range b.Index {
				var s strings.Builder
				for _, v := range b.Inputs[i*n : (i+1)*n] {
					s.WriteByte(byte(100 + 50*v))
				}
				out[at] = append(out[at], s.String())
			}
		}
		return out
	}
	c.Train.Cache = "off"
	limited := pixels(c, 6)
	c.Data.Variants = 0
	fresh := pixels(c, 2)
	many := 0
	for image, seen := range limited {
		kinds := map[string]bool{}
		for _, s := range seen {
			kinds[s] = true
		}
		if len(kinds) > 2 {
			t.Errorf("image %d has %d augmentations", image, len(kinds))
		}
		many = max(many, len(kinds))
		for k, s := range fresh[image] {
			if k < len(seen) && len(fresh[image]) == 2 && seen[k] != s {
				t.Errorf("augmentation %d of image %d is not that of epoch %d without a limit", k, image, k)
			}
		}
	}
	if many != 2 {
		t.Error("no image has two augmentations")
	}
}

// TestCacheOff: where nothing can be kept it is off, and says why.
func TestCacheOff(t *testing.T) {
	all := tiny()
	asked := frozen()["joint"]
	asked.Train.Cache = "off"
	for want, c := range map[string]config.Config{"the lowest part of the network is trained": all, "": asked} {
		if x := open(t, c); x.Cache.Mode != "off" || !strings.Contains(x.Cache.Why, want) {
			t.Errorf("want off because %q: %+v", want, x.Cache)
		}
	}
	if x := open(t, frozen()["fresh"]); !strings.Contains(x.Cache.Why, "data.variants") || x.Cache.Images != 16 {
		t.Errorf("of fresh augmentations: %+v", x.Cache)
	}
}

// TestCacheOfAnother: a folder that caches share is taken by a run of the same data
// and weights and refused by any other, by name.
func TestCacheOfAnother(t *testing.T) {
	c := frozen()["bp"]
	c.Train.Cache, c.Train.CacheDir = "disk", t.TempDir()
	want := whole(t, c)
	before, err := os.ReadFile(filepath.Join(c.Train.CacheDir, "train.prefix"))
	if err != nil {
		t.Fatal(err)
	}
	same(t, whole(t, c), want, c.Train.Steps)
	after, err := os.ReadFile(filepath.Join(c.Train.CacheDir, "train.prefix"))
	if err != nil || string(before) != string(after) {
		t.Error("the second run wrote again what was there", err)
	}
	seed, size, stretched := c, c, c
	seed.Train.Seed++
	size.Data.Count++
	stretched.Data.Std = []float32{0.3}
	for what, c := range map[string]config.Config{"other weights": seed, "other data": size,
		"prepared otherwise": stretched} {
		_, err := Run(t.Context(), open(t, c), RunOptions{Dir: t.TempDir(), Watch: &quiet{}})
		if e, ok := uierr.As(err); !ok || !strings.Contains(e.What, what) || !strings.Contains(e.What, c.Train.CacheDir) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestCachedCost: a step's operations are planned without what is kept.
func TestCachedCost(t *testing.T) {
	c := frozen()["bp"]
	c.Train.Cache = "off"
	whole := open(t, c).StepCost(0)
	c.Train.Cache = "memory"
	x := open(t, c)
	kept := x.StepCost(0)
	saved := int64(c.Train.BatchSize) * x.Cache.Saved
	if kept.Queries != whole.Queries || whole.FLOPs-kept.FLOPs != saved {
		t.Errorf("%+v with a cache that saves %d, %+v without", kept, saved, whole)
	}
}
