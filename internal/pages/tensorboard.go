package pages

import (
	"fmt"
	"image"
	"io"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/report"
	"github.com/flops-vit/flops/internal/runs"
	"github.com/flops-vit/flops/internal/train"
)

// TensorBoard writes a run's event file: its numbers at every step, the
// allocation as a histogram, and at every evaluation the images of the batch
// that got most and least queries. A file that cannot be written is said once
// and ends no run.
type TensorBoard struct {
	next   train.Watcher
	e      *report.Events
	c      io.Closer
	warn   func(string)
	config config.Config // of the run; its settings are written before the first step
	spent  float64       // seconds of training up to the step that is evaluated
	look   bool          // the step just taken was evaluated: what is drawn now and then is due
}

// shownImages is how many of the most and of the least queried images are shown.
const shownImages = 8

// OpenTensorBoard watches a run of an experiment before next does; where wanted is
// false, it writes nothing.
func OpenTensorBoard(dir string, wanted bool, c config.Config, warn func(string), next train.Watcher) *TensorBoard {
	b := &TensorBoard{next: next, warn: warn, config: c, look: true}
	if !wanted {
		return b
	}
	e, file, err := report.OpenEvents(filepath.Join(dir, "tb"))
	if err != nil {
		warn(fmt.Sprintf("no TensorBoard events: %v", err))
		return b
	}
	b.e, b.c = e, file
	return b
}

// settingsOf are what an experiment sets otherwise than the defaults.
func settingsOf(c config.Config) (out []report.HParam) {
	for _, s := range config.Changes(c) {
		out = append(out, report.HParam{Name: s.Key, Value: s.Value})
	}
	return out
}

// try writes what f does; after a failure nothing more is written.
func (b *TensorBoard) try(f func() error) {
	if b.e == nil {
		return
	}
	if err := f(); err != nil {
		b.warn(fmt.Sprintf("TensorBoard events end here: %v", err))
		b.Close()
	}
}

// Close closes the file.
func (b *TensorBoard) Close() {
	if b.c != nil {
		b.c.Close()
	}
	b.e, b.c = nil, nil
}

type scalar struct {
	tag string
	v   float64
}

func (b *TensorBoard) scalars(step int, all []scalar) {
	b.try(func() error {
		for _, s := range all {
			if err := b.e.Scalar(s.tag, step, s.v); err != nil {
				return err
			}
		}
		return nil
	})
}

// Begins writes the settings, once, and that what stood after the step is void.
func (b *TensorBoard) Begins(step int) {
	if step == 0 {
		b.try(func() error { return b.e.HParams(settingsOf(b.config)) })
	}
	b.try(func() error { return b.e.Start(step + 1) })
	b.next.Begins(step)
}

// Stepped writes the numbers of a step.
func (b *TensorBoard) Stepped(m *runs.StepMetrics, rate float64) {
	all := []scalar{{"train/loss", m.Loss}, {"train/accuracy", m.Accuracy}, {"train/gradient_norm", m.GradNorm},
		{"train/learning_rate", m.LR},
		{"queries/total", float64(m.Queries)}, {"queries/per_second", rate}}
	if m.MaxShare > 0 {
		all = append(all, scalar{"allocation/least", float64(m.MinShare)}, scalar{"allocation/most", float64(m.MaxShare)},
			scalar{"allocation/variance_ratio", m.Ratio})
	}
	for _, l := range m.Learned(b.config) {
		all = append(all, named(l, "")...)
	}
	b.scalars(m.Step, all)
	b.look = b.look || m.Evaluated()
	b.next.Stepped(m, rate)
}

// named are learned numbers under their names, with an end.
func named(l runs.Learned, end string) (out []scalar) {
	group := l.Of
	if group == "allocator" {
		group = "allocation" // beside what it did
	}
	for i, p := range l.Params {
		out = append(out, scalar{group + "/" + strings.ReplaceAll(p.Name, " ", "_") + end, l.Values[i]})
	}
	return out
}

// Clocked writes the time of training. It is told before a step's evaluations.
func (b *TensorBoard) Clocked(step int, seconds float64) {
	b.spent = seconds
	b.scalars(step, []scalar{{"clock/seconds", seconds}})
}

// Shared writes who took part in the run.
func (b *TensorBoard) Shared(s runs.Sharing) {
	b.scalars(s.Step, []scalar{{"cluster/workers", float64(s.Workers)}, {"cluster/lag_steps", float64(s.Lag)},
		{"cluster/queries_by_workers", float64(s.Queries)}, {"cluster/queries_by_coordinator", float64(s.Own)},
		{"cluster/queries_wasted", float64(s.Wasted)}, {"cluster/task_copies", float64(s.Copies)},
		{"cluster/bytes_up", float64(s.Up)}, {"cluster/bytes_down", float64(s.Down)}})
}

// timed writes what a split measured on the axis of the time of training.
func (b *TensorBoard) timed(step int, split string, e *runs.Eval) {
	b.try(func() error {
		if err := b.e.Timed("clock/"+split+"_accuracy", step, b.spent, e.Score()); err != nil {
			return err
		}
		return b.e.Timed("clock/"+split+"_loss", step, b.spent, e.Loss())
	})
}

// Evaluated writes what a split measured.
func (b *TensorBoard) Evaluated(step int, split string, e *runs.Eval) {
	all := []scalar{{split + "/accuracy", e.Score()}, {split + "/loss", e.Loss()}}
	for _, o := range e.Chosen.Ones() {
		all = append(all, scalar{split + "/" + o.Tag, o.Value})
	}
	b.scalars(step, all)
	b.timed(step, split, e)
	b.next.Evaluated(step, split, e)
}

// Saved tells next alone.
func (b *TensorBoard) Saved(step int, dir string) { b.next.Saved(step, dir) }

// Warned tells next alone.
func (b *TensorBoard) Warned(s string) { b.next.Warned(s) }

// Each is train.RunOptions.Each.
func (b *TensorBoard) Each(t *train.Trainer) error {
	last, look := t.Last(), b.look
	if b.e == nil || last == nil {
		return nil
	}
	if b.look = false; look {
		b.scalars(t.Step, named(t.Kept(), "_norm"))
	}
	if len(last.Counts) == 0 {
		return nil
	}
	b.try(func() error {
		v := make([]float64, len(last.Counts))
		for i, n := range last.Counts {
			v[i] = float64(n)
		}
		return b.e.Histogram("allocation/queries_per_image", t.Step, v)
	})
	if look {
		b.try(func() error { return b.extremes(t) })
	}
	return nil
}

// extremes writes the images that got most and least queries, where not all got as many.
func (b *TensorBoard) extremes(t *train.Trainer) error {
	last := t.Last()
	if slices.Min(last.Counts) == slices.Max(last.Counts) {
		return nil
	}
	order := make([]int, len(last.Counts))
	for i := range order {
		order[i] = i
	}
	sort.SliceStable(order, func(x, y int) bool { return last.Counts[order[x]] > last.Counts[order[y]] })
	n := min(shownImages, len(order))
	for _, part := range []struct {
		name string
		of   []int
	}{{"most", order[:n]}, {"least", order[len(order)-n:]}} {
		im, err := tilesOf(t, part.of, fmt.Sprintf("%s queries, step %d", part.name, t.Step))
		if err != nil {
			return err
		}
		// a tag has one kind, and the bare one is a number's
		if err := b.e.Image("allocation/"+part.name+"_image", t.Step, im); err != nil {
			return err
		}
	}
	return nil
}

func tilesOf(t *train.Trainer, of []int, title string) (image.Image, error) {
	last, d := t.Last(), t.X.TrainData
	var tiles []report.Tile
	for _, i := range of {
		at := int(last.Batch.Index[i])
		pic, err := d.Image(at)
		if err != nil {
			return nil, err
		}
		info := d.Info(at)
		tiles = append(tiles, report.Tile{Image: toImage(pic), Label: d.Classes()[info.Label], Path: info.Path,
			Loss: float64(last.Clean.Losses[i]), Queries: last.Counts[i]})
	}
	return report.Grid(title, tiles)
}
