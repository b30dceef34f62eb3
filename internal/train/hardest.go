package train

import (
	"context"
	"sort"

	"github.com/flops-vit/flops/internal/checkpoint"
	"github.com/flops-vit/flops/internal/fsys"
)

// Hard is an image with its loss.
type Hard struct {
	Index int // in the split
	Loss  float64
}

// Hardest puts the last sound checkpoint of a run into its experiment and finds
// the images of the split that it is followed by with the highest loss, among at
// most limit of them.
func Hardest(ctx context.Context, x *Experiment, dir string, limit, most int) ([]Hard, error) {
	c, _, err := (&checkpoint.Store{Disk: fsys.OS, Run: dir}).Latest()
	if err != nil {
		return nil, err
	}
	if err := NewTrainer(x).weights(c); err != nil {
		return nil, err
	}
	var all []Hard
	s := x.Followed()
	for b, err := range s.Loader.Sequential(x.Config.Train.BatchSize) {
		if err != nil {
			return nil, err
		}
		losses, err := x.losses(ctx, s, b)
		if err != nil {
			return nil, err
		}
		for i, l := range losses {
			all = append(all, Hard{int(b.Index[i]), float64(l)})
		}
		if len(all) >= limit {
			break
		}
	}
	sort.SliceStable(all, func(i, j int) bool { return all[i].Loss > all[j].Loss })
	return all[:min(most, len(all))], nil
}
