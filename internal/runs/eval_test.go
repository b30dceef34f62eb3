package runs

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/flops-vit/flops/internal/metric"
)

// TestEvalFile: what a file says of an evaluation is written again with the same
// bytes, be it of a version without metrics or with them, and means the same.
func TestEvalFile(t *testing.T) {
	for _, c := range []struct {
		text, goal  string
		score, loss float64
		values      int
	}{
		{`{"top1":0.25,"loss":1.5,"images":16}`, metric.Top1, 0.25, 1.5, 2},
		{`{"top1":0.25,"top5":0.5,"loss":1.5,"images":16,"images_per_s":7.5}`, metric.Top1, 0.25, 1.5, 3},
		{`{"top1":0.25,"loss":2,"images":9,"retrieval":{"pairing":"class","zero_shot_top1":0.25,` +
			`"image_to_text":[0.1,0.2,0.3],"text_to_image":[0.4,0.5,0.6]}}`, metric.ZeroShot, 0.25, 2, 4},
		{`{"top1":0.1,"loss":2,"images":9,"retrieval":{"pairing":"image","zero_shot_top1":0.25,` +
			`"image_to_text":[0.1,0.2,0.3],"text_to_image":[0.4,0.5,0.6]}}`, metric.ImageToText, 0.1, 2, 4},
		{`{"top1":0.25,"loss":1.5,"images":16,"metrics":{"ece":0.125,"later":[1,2],"none":null}}`, metric.Top1, 0.25, 1.5, 2},
	} {
		var e Eval
		if err := json.Unmarshal([]byte(c.text), &e); err != nil {
			t.Fatal(err)
		}
		if e.Goal != c.goal || e.Score() != c.score || e.Loss() != c.loss || len(e.Values) != c.values {
			t.Errorf("%s: %+v", c.text, e)
		}
		if raw, err := json.Marshal(&e); err != nil || string(raw) != c.text {
			t.Errorf("%s is written as %s (%v)", c.text, raw, err)
		}
		step := `{"step":4,` + c.text[1:]
		var b BestEval
		if err := json.Unmarshal([]byte(step), &b); err != nil {
			t.Fatal(err)
		}
		raw, err := json.Marshal(&b)
		if err != nil || string(raw) != step || b.Step != 4 || b.Score() != c.score {
			t.Errorf("%s is written as %s (%v)", step, raw, err)
		}
	}
	if raw, err := json.Marshal(Eval{}); err != nil || string(raw) != `{"top1":0,"loss":0,"images":0}` {
		t.Errorf("nothing measured: %s, %v", raw, err)
	}
}

// TestBetter: by the score, by a metric in its direction, and by one that one of
// the two has not.
func TestBetter(t *testing.T) {
	of := func(top1, loss float64, ece ...float64) *Eval {
		e := &Eval{Goal: metric.Top1, Values: metric.Values{{Name: metric.Top1, Numbers: []float64{top1}},
			{Name: metric.Loss, Numbers: []float64{loss}}}}
		if ece != nil {
			e.Chosen = metric.Values{{Name: "ece", Numbers: ece}}
		}
		return e
	}
	a, b := of(0.5, 1, 0.1), of(0.6, 2, 0.2)
	if Better(a, b, "") != b || Better(a, b, metric.Loss) != a || Better(b, a, "ece") != a || Better(nil, a, "ece") != a ||
		Better(a, nil, "") != a || Better(a, of(0.5, 1), "") != a || Better(of(0.9, 0), b, "ece") != b ||
		Better(a, of(0.9, 0, math.NaN()), "ece") != a {
		t.Error("the worse one is taken for the better")
	}
}
