package pipe

import (
	"fmt"
	"math"

	"github.com/flops-vit/flops/alloc"
	"github.com/flops-vit/flops/internal/uierr"
)

// Bounds of a line: an allocator that correlates the items of a batch holds
// matrices of their number squared.
const (
	maxItems  = 1 << 12
	maxBudget = 1 << 40
)

// check refuses lines that say two things or nothing.
func (l *line) check() error {
	items := len(l.Losses)
	switch {
	case l.Losses == nil && l.Feedback == nil:
		return uierr.New("neither losses nor feedback",
			`give "losses" to ask for counts, "feedback" to tell what they showed`)
	case l.Losses != nil && items == 0:
		return uierr.New(`"losses" is empty`, "give the clean loss of every item of the batch")
	case items > maxItems:
		return uierr.New(fmt.Sprintf("%d items", items), fmt.Sprintf("share batches of at most %d items out", maxItems))
	case (l.Logits == nil) != (l.Labels == nil):
		return uierr.New(`"logits" and "labels" are not both there`, `give both, or "surprise", or neither`)
	case l.Logits != nil && l.Surprise != nil:
		return uierr.New(`"logits" and "surprise" are both there`,
			"give one of them: surprise is computed from logits and labels")
	case l.Budget != nil && (*l.Budget < 1 || *l.Budget > maxBudget):
		return uierr.New(fmt.Sprintf(`"budget" is %d`, *l.Budget), "give the queries of the step")
	case l.Step != nil && (*l.Step < 0 || *l.Step > math.MaxInt32):
		return uierr.New(fmt.Sprintf(`"step" is %d`, *l.Step), "number the steps from 0")
	case l.Epoch < 0:
		return uierr.New(fmt.Sprintf(`"epoch" is %d`, l.Epoch), "number the epochs from 0")
	}
	for _, f := range []struct {
		key   string
		there bool
		n     int
	}{{"ids", l.IDs != nil, len(l.IDs)}, {"surprise", l.Surprise != nil, len(l.Surprise)},
		{"logits", l.Logits != nil, len(l.Logits)}, {"labels", l.Labels != nil, len(l.Labels)},
		{"features", l.Features != nil, len(l.Features)}} {
		if f.there && f.n != items {
			return uierr.New(fmt.Sprintf("%q has %d entries for %d losses", f.key, f.n, items),
				"give one per item, or none")
		}
	}
	if _, err := flat("features", l.Features); err != nil {
		return err
	}
	logits, err := flat("logits", l.Logits)
	for i, label := range l.Labels {
		if classes := len(logits) / items; err == nil && (label < 0 || int(label) >= classes) {
			return uierr.New(fmt.Sprintf(`"labels": %d of item %d, which has %d logits`, label, i, classes),
				"number the classes from 0")
		}
	}
	return err
}

// flat puts rows of equal width behind each other.
func flat(key string, rows [][]number) ([]float32, error) {
	var out []float32
	for i, r := range rows {
		if len(r) != len(rows[0]) || len(r) == 0 {
			return nil, uierr.New(fmt.Sprintf("%q: %d numbers of item %d, %d of item 0", key, len(r), i, len(rows[0])),
				"give every item as many, and at least one")
		}
		out = append(out, floats(r)...)
	}
	return out, nil
}

// floats narrows numbers; what float32 cannot hold becomes infinite.
func floats(v []number) []float32 {
	if v == nil {
		return nil
	}
	out := make([]float32, len(v))
	for i, x := range v {
		out[i] = float32(x)
	}
	return out
}

// wholes are whole numbers as the integers that alloc wants; none stay nil.
func wholes[T int | int32](v []whole) []T {
	if v == nil {
		return nil
	}
	out := make([]T, len(v))
	for i, x := range v {
		out[i] = T(x)
	}
	return out
}

// doubles are numbers as float64.
func doubles(v []number) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = float64(x)
	}
	return out
}

// signals are what the line says of a batch that was checked.
func (l *line) signals(step int, seed uint64) alloc.Signals {
	s := alloc.Signals{Step: step, Epoch: l.Epoch, Seed: seed, IDs: wholes[int32](l.IDs), Losses: floats(l.Losses),
		Surprise: floats(l.Surprise)}
	s.Features, _ = flat("features", l.Features)
	s.Dim = len(s.Features) / len(s.Losses)
	if l.Logits != nil {
		z, _ := flat("logits", l.Logits)
		s.Surprise = alloc.Surprise(z, len(z)/len(s.Losses), wholes[int32](l.Labels))
	}
	return s
}

// variance is V̂_i of the items of a step with counts; NaN where nothing was seen.
func (f *feedback) variance(items int) ([]float64, error) {
	if (f.Variance == nil) == (f.Coefficients == nil) {
		return nil, uierr.New(`"feedback" needs "variance" or "coefficients"`, "give one of them, an entry per item")
	}
	key, v := "variance", doubles(f.Variance)
	if f.Coefficients != nil {
		rows := make([][]float64, len(f.Coefficients))
		for i, r := range f.Coefficients {
			rows[i] = doubles(r)
		}
		key, v = "coefficients", alloc.Variance(rows)
	}
	if len(v) != items {
		return nil, uierr.New(fmt.Sprintf("%q has %d entries for the %d counts of the step", key, len(v), items),
			"give one per item, null or [] where nothing was seen")
	}
	if f.Asked != nil && len(f.Asked) != items {
		return nil, uierr.New(fmt.Sprintf(`"asked" has %d entries for the %d counts of the step`, len(f.Asked), items),
			"give one per item, or leave it out")
	}
	return v, nil
}
