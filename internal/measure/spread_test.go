package measure

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/flops-vit/flops/alloc"
	"github.com/flops-vit/flops/internal/lr"
)

// TestPredictedOfSharedDirections: of noise on weights, whose directions the images
// share, the variance that the probe predicts is what repeated draws show, within
// TestPredictedAgreesWithMeasured's tolerance, at splits of which the sum of V_i/P_i is
// wrong by more than that.
func TestPredictedOfSharedDirections(t *testing.T) {
	for _, c := range []struct {
		schedule   string
		antithetic bool
		pairs      int
		draws      int
	}{{"all", true, 1500, 250}, {"tensor", false, 150, 100}} {
		k := benchFor(t, "weight", c.schedule, c.antithetic, lr.Plain())
		var all []alloc.Allocator
		for _, s := range [][]int{{16, 16, 16, 16, 16, 16}, {66, 6, 6, 6, 6, 6}, {6, 6, 6, 66, 6, 6}, {26, 26, 26, 6, 6, 6}} {
			all = append(all, given{name: "split", counts: s})
		}
		b, err := k.Study(t.Context(), all, alloc.Signals{}, Options{Pairs: c.pairs, Draws: c.draws, Budget: 96})
		if err != nil {
			t.Fatal(err)
		}
		rows, apart := Summarise([]*Batch{b}), 0
		for i, r := range rows[1:] {
			half := math.Log(r.CI95[1] / r.Measured)
			if d := math.Abs(math.Log(r.Predicted / r.Measured)); d > 2*half || half > 0.3 || half <= 0 {
				t.Errorf("%s, pairs %v, %v: predicted %.3f, measured %.3f %.3f", c.schedule, c.antithetic,
					b.Results[i+1].Counts, r.Predicted, r.Measured, r.CI95)
			}
			rows := alloc.Ratio(b.Variance, b.Results[i+1].Counts)
			if math.Abs(math.Log(rows/r.Measured)) > 3*half {
				apart++
			}
		}
		if apart == 0 {
			t.Errorf("%s, pairs %v: no split tells the two predictions apart", c.schedule, c.antithetic)
		}
	}
}

// TestSpreadRatio: by hand, of two images whose directions are shared or not.
func TestSpreadRatio(t *testing.T) {
	v := &Spread{Own: []float64{3, 1}, Shared: [][]float64{{4, -2}, {-2, 8}}}
	// 3/6 + 1/2 + 4/6 − 2·2/6 + 8/2 against (3+1+4−4+8)/4
	if got, want := v.Ratio([]int{6, 2}), 5.0/3; math.Abs(got-want) > 1e-12 {
		t.Errorf("%v, want %v", got, want)
	}
	if got := (&Spread{Own: []float64{0, 0}}).Ratio([]int{6, 2}); got != 1 {
		t.Errorf("nothing varies: %v", got)
	}
	if got := v.Images(); got[0] != 5 || got[1] != 7 {
		t.Errorf("images %v", got)
	}
}

// TestUnsaid: where draws of equal shares agree by chance there is no ratio to them, where
// those of another allocator do no interval, and neither is a number in JSON.
func TestUnsaid(t *testing.T) {
	still, moving := &Result{Name: "a", d: []float64{0, 0}}, &Result{Name: "b", Variance: 2, d: []float64{1, 3}}
	for _, c := range []struct {
		uniform, other *Result
		want           string
	}{
		{still, moving, `"measured_ratio":null,"ci95":[null,null]}`},
		{moving, still, `"measured_ratio":0,"ci95":[null,null]}`},
		{still, still, `"measured_ratio":1,"ci95":[1,1]}`},
	} {
		rows := Summarise([]*Batch{{Results: []*Result{c.uniform, c.other}}})
		raw, err := json.Marshal(rows[1])
		if err != nil || !strings.HasSuffix(string(raw), c.want) {
			t.Errorf("%s, %v; want %s", raw, err, c.want)
		}
	}
}
