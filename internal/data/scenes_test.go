package data

import (
	"math"
	"slices"
	"strings"
	"testing"
)

// TestScenes: the picture shows the two figures of its class's name, the first above
// the second, found by probing the pixels at points that tell the kinds apart. A
// point beside a figure may be of its colour where there is clutter.
func TestScenes(t *testing.T) {
	cfg := dataConfig("scenes", "")
	cfg.Size, cfg.Count = 64, 240
	src, err := openScenes(cfg, Train)
	if err != nil {
		t.Fatal(err)
	}
	s := src.(*scenes)
	probes := []struct {
		u, v float64
		has  string
	}{{0, 0.05, "disc cross triangle"}, {0.55, 0.55, "disc ring triangle"}, {-0.55, -0.55, "disc ring"},
		{0.75, 0.85, "triangle"},
		{-0.85, 0, "disc ring cross"}, {0.2, -0.85, "disc ring cross"}}
	wrong, beside := 0, 0
	for i := range s.Len() {
		im, err := s.Image(i)
		if err != nil {
			t.Fatal(err)
		}
		all, _ := s.scene(i)
		up, down := all[len(all)-2], all[len(all)-1]
		if up.y+up.radius >= down.y-down.radius || up.y < up.radius || down.y+down.radius > 1 {
			t.Fatalf("image %d: figures at %v and %v", i, up.y, down.y)
		}
		kinds := strings.Split(s.Classes()[s.Info(i).Label], "_over_")
		for k, f := range []thing{up, down} {
			for _, p := range probes {
				at := im.Pix[3*(int((f.y+p.v*f.radius)*64)*64+int((f.x+p.u*f.radius)*64)):]
				var off float64
				for c, paint := range []uint8{f.paint.R, f.paint.G, f.paint.B} {
					off += math.Abs(float64(at[c]) - float64(paint))
				}
				has := slices.Contains(strings.Fields(p.has), kinds[k])
				if has && off > 180 {
					t.Errorf("image %d: the %s has another colour at (%v, %v)", i, kinds[k], p.u, p.v)
				}
				if !has {
					beside++
					if off < 120 {
						wrong++
					}
				}
			}
		}
	}
	if share := float64(wrong) / float64(beside); share > 0.1 {
		t.Errorf("%.2f of the points beside figures have their colours", share)
	}
}

// TestScenesDraws: images are balanced, the same each time, and others in another
// split and under another seed; classes may be chosen.
func TestScenesDraws(t *testing.T) {
	cfg := dataConfig("scenes", "")
	cfg.Count, cfg.TestCount = 24, 24
	pix := func() []uint8 {
		im, err := open(t, cfg, Train).Image(5)
		if err != nil {
			t.Fatal(err)
		}
		return im.Pix
	}
	ds, first := open(t, cfg, Train), pix()
	seen := map[int]int{}
	for i := range ds.Len() {
		seen[ds.Info(i).Label]++
	}
	if len(ds.Classes()) != 12 || len(seen) != 12 || seen[0] != 2 || !slices.Equal(pix(), first) {
		t.Errorf("classes %v, %v, or other pixels", ds.Classes(), seen)
	}
	if im, _ := open(t, cfg, Test).Image(5); slices.Equal(im.Pix, first) {
		t.Error("the test split has an image of the training split")
	}
	if cfg.SplitSeed++; slices.Equal(pix(), first) {
		t.Error("the seed changes nothing")
	}
	cfg.Classes = []string{"ring_over_disc", "disc_over_ring"}
	if few := open(t, cfg, Train); few.Len() != 4 || few.Info(0).Label != 1 {
		t.Errorf("%d images of two classes", few.Len())
	}
	cfg.TestCount = 0
	_, err := Open(cfg, Test)
	refused(t, err, "data.test_count")
}
