package metric

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/flops-vit/flops/internal/uierr"
)

// measured is what a set makes of a batch: the standard values, then the chosen.
func measured(t *testing.T, task Task, b *Batch, chosen ...string) Values {
	t.Helper()
	s, err := NewSet(task, "train.metrics", chosen)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Add(b); err != nil {
		t.Fatal(err)
	}
	standard, more, err := s.Values()
	if err != nil {
		t.Fatal(err)
	}
	return append(standard, more...)
}

// random are images of seven classes: a classifier's, or of a network that is
// aligned with texts.
func random(aligned bool) (Task, *Batch) {
	const n, width = 200, 7
	r := rand.New(rand.NewPCG(1, 2))
	draw := func(n int) []float32 {
		v := make([]float32, n)
		for i := range v {
			v[i] = float32(r.NormFloat64())
		}
		return v
	}
	t := Task{Outputs: width, Aligned: aligned}
	b := &Batch{Size: n, Losses: draw(n), Outputs: draw(n * width)}
	for range n {
		b.Labels = append(b.Labels, int32(r.IntN(width)))
	}
	if aligned {
		t.Classes, b.Texts = draw(width*width), draw(n*width)
	}
	return t, b
}

// cut is images from to to of a batch.
func cut(b *Batch, width, from, to int) *Batch {
	out := &Batch{Size: to - from, Losses: b.Losses[from:to], Labels: b.Labels[from:to]}
	out.Outputs = b.Outputs[from*width : to*width]
	if b.Texts != nil {
		out.Texts = b.Texts[from*width : to*width]
	}
	return out
}

// TestAnyBatchSize: every metric that is registered says the same, bit for bit,
// however the images are parted, and in its range.
func TestAnyBatchSize(t *testing.T) {
	seen := map[string]bool{}
	for _, aligned := range []bool{false, true} {
		task, b := random(aligned)
		var all []string
		for _, n := range Names() {
			if Named(n).lacks(task) == "" {
				all, seen[n] = append(all, n), true
			}
		}
		var want Values
		for _, size := range []int{200, 1, 3, 64, 199} {
			s, err := NewSet(task, "", all)
			if err != nil {
				t.Fatal(err)
			}
			for from := 0; from < b.Size; from += size {
				if err := s.Add(cut(b, task.Outputs, from, min(from+size, b.Size))); err != nil {
					t.Fatal(err)
				}
			}
			_, got, err := s.Values()
			if err != nil {
				t.Fatal(err)
			}
			if want == nil {
				want = got
			}
			for i, v := range got {
				if !slices.Equal(v.Numbers, want[i].Numbers) {
					t.Errorf("%s: %v in batches of %d, %v in one", v.Name, v.Numbers, size, want[i].Numbers)
				}
				for _, o := range v.Ones() {
					if !(math.Abs(o.Value) < 10) || o.Metric.Range == Share && (o.Value < 0 || o.Value > 1) {
						t.Errorf("%s: %v", o.Tag, o.Value)
					}
				}
			}
		}
	}
	for _, n := range Names() {
		if !seen[n] {
			t.Errorf("%s fits neither a classifier nor an aligned network", n)
		}
	}
}

// TestStandard: what is measured without a choice, and in which order.
func TestStandard(t *testing.T) {
	names := func(v Values) (out []string) {
		for _, one := range v {
			out = append(out, one.Name)
		}
		return out
	}
	task, b := random(false)
	if got := names(measured(t, task, b)); !slices.Equal(got, []string{"top1", "top5", "loss"}) {
		t.Error(got)
	}
	few := &Batch{Size: 1, Losses: []float32{1}, Outputs: []float32{1, 2, 3, 4, 5}, Labels: []int32{4}}
	if got := names(measured(t, Task{Outputs: 5}, few)); !slices.Equal(got, []string{"top1", "loss"}) {
		t.Error(got)
	}
	task, b = random(true)
	if got := names(measured(t, task, b, "image_to_text", "image_to_text")); !slices.Equal(got,
		[]string{"zero_shot", "loss", "image_to_text", "text_to_image", "image_to_text"}) {
		t.Error(got)
	}
	first := []string{"top1", "top5", "zero_shot", "loss", "image_to_text", "text_to_image"}
	if got := Names(); !slices.Equal(got[:6], first) {
		t.Error(got)
	}
}

// TestTopK: ranks, of equal outputs by number.
func TestTopK(t *testing.T) {
	b := &Batch{Size: 3, Losses: []float32{1, 2, 6}, Labels: []int32{0, 6, 1}, Outputs: []float32{
		5, 5, 1, 1, 1, 1, 0, // right: the first of equals
		1, 1, 1, 1, 1, 1, 1, // last of seven
		5, 4, 1, 1, 1, 1, 0}} // second
	v := measured(t, Task{Outputs: 7}, b)
	if v.Of("top1").Numbers[0] != 1./3 || v.Of("top5").Numbers[0] != 2./3 || v.Of("loss").Numbers[0] != 3 {
		t.Error(v)
	}
}

// TestCheck: what cannot be measured is refused with what can.
func TestCheck(t *testing.T) {
	for _, c := range []struct {
		task         Task
		chosen, want string
	}{
		{Task{Outputs: 3}, "image_to_text", "image_to_text needs embeddings that are aligned with texts, " +
			"and what is measured answers logits of classes"},
		{Task{Outputs: 3, Aligned: true}, "ece", "ece needs logits of classes, " +
			"and what is measured answers embeddings that are aligned with texts"},
		{Task{Outputs: 5}, "top5", "top5 needs 6 outputs or more, and what is measured has 5"},
		{Task{Outputs: 3}, "f1", "f1 is no metric"},
	} {
		_, err := NewSet(c.task, "train.metrics", []string{"loss", c.chosen})
		e, ok := uierr.As(err)
		if !ok || e.What != "train.metrics: "+c.want || !strings.HasPrefix(e.Hint, "choose among ") ||
			strings.Contains(e.Hint, c.chosen) {
			t.Errorf("%v", err)
		}
	}
}

// TestAddRefuses: images whose sizes or labels do not fit.
func TestAddRefuses(t *testing.T) {
	for i, b := range []*Batch{
		{Size: 1, Losses: []float32{1}, Outputs: []float32{1}, Labels: []int32{0}},
		{Size: 1, Outputs: []float32{1, 2}, Labels: []int32{0}},
		{Size: 1, Losses: []float32{1}, Outputs: []float32{1, 2}},
		{Size: 1, Losses: []float32{1}, Outputs: []float32{1, 2}, Labels: []int32{2}},
		{Size: 1, Losses: []float32{1}, Outputs: []float32{1, 2}, Labels: []int32{-1}},
		{Size: 1, Losses: []float32{1}, Outputs: []float32{1, 2}, Labels: []int32{0}, Texts: []float32{1, 2}},
	} {
		s, err := NewSet(Task{Outputs: 2}, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		if s.Add(b) == nil {
			t.Errorf("batch %d was taken", i)
		}
	}
}

// TestValuesJSON: one number, several, and what is no number survive a file, in
// their order; so does a metric of another version.
func TestValuesJSON(t *testing.T) {
	v := Values{{"ece", []float64{0.25}}, {"image_to_text", []float64{0.1, 0.2, 0.3}}, {"aurora", []float64{math.Inf(1)}},
		{"xs", []float64{1, 2}}}
	raw, err := json.Marshal(v)
	if file := `{"ece":0.25,"image_to_text":[0.1,0.2,0.3],"aurora":null,"xs":[1,2]}`; err != nil || string(raw) != file {
		t.Fatalf("%s, %v", raw, err)
	}
	var back Values
	if err := json.Unmarshal(raw, &back); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(back)
	if err != nil || string(again) != string(raw) || !math.IsNaN(back.Of("aurora").Numbers[0]) {
		t.Errorf("%s, %v", again, err)
	}
	var tags, titles []string
	for _, o := range back.Ones() {
		tags, titles = append(tags, o.Tag), append(titles, o.Title)
	}
	want := []string{"ece", "image_to_text_1", "image_to_text_5", "image_to_text_10", "aurora", "xs_0", "xs_1"}
	if !slices.Equal(tags, want) {
		t.Error(tags)
	}
	if titles[0] != "ECE" || titles[2] != "image to text recall@5" || titles[4] != "aurora" {
		t.Error(titles)
	}
	if got := Tags([]string{"ece", "image_to_text", "ece"}); !slices.Equal(got, tags[:4]) {
		t.Error(got)
	}
	for _, bad := range []string{`[1]`, `{"a":"x"}`, `{"a":{}}`} {
		if json.Unmarshal([]byte(bad), &back) == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

// TestBeats: directions, and what is no number loses.
func TestBeats(t *testing.T) {
	nan := math.NaN()
	if !Higher.Beats(2, 1) || Higher.Beats(1, 1) || !Lower.Beats(1, 2) || Lower.Beats(2, 1) || !Lower.Beats(1, nan) ||
		Higher.Beats(nan, 1) || Higher.Beats(nan, nan) {
		t.Error("a direction is wrong")
	}
}

// TestRegisterRefuses: what does not say all that a metric has to.
func TestRegisterRefuses(t *testing.T) {
	whole := func(Task, *Batch) ([]float64, error) { return nil, nil }
	for _, m := range []Metric{
		{Name: "A b", Title: "t", About: "a", Whole: whole},
		{Name: "a", About: "a", Whole: whole},
		{Name: "a", Title: "t", Whole: whole},
		{Name: "a", Title: "t", About: "a"},
		{Name: "a", Title: "t", About: "a", At: []int{1}, Whole: whole},
		{Name: "ece", Title: "t", About: "a", Whole: whole},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%+v was taken", m)
				}
			}()
			Register(m)
		}()
	}
}
