package pipe

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/flops-vit/flops/alloc"
	"github.com/flops-vit/flops/internal/allocator"
	"github.com/flops-vit/flops/internal/uierr"
)

// build makes an allocator of the tests.
func build(t testing.TB, name string) alloc.Allocator {
	t.Helper()
	a, err := allocator.New(name, allocator.Options{MinQueries: 2, Even: true,
		Own: allocator.Features.With(nil, "loss")})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// lines runs a pipe over lines and returns the answers.
func lines(t testing.TB, o Options, in ...string) ([]answer, error) {
	t.Helper()
	var out bytes.Buffer
	err := Run(strings.NewReader(strings.Join(in, "\n")), &out, o)
	var all []answer
	for d := json.NewDecoder(&out); d.More(); {
		var a answer
		if err := d.Decode(&a); err != nil {
			t.Fatal(err)
		}
		all = append(all, a)
	}
	return all, err
}

// TestSameAsAlloc: the counts, the ratio and what is learned are those of the
// package, given the same numbers.
func TestSameAsAlloc(t *testing.T) {
	own := build(t, "neyman")
	s := alloc.Signals{Step: 0, Seed: 3, Epoch: 1, IDs: []int32{4, 9, 1}, Losses: []float32{0.5, 1,
		float32(math.NaN())},
		Surprise: alloc.Surprise([]float32{0, 0, 3, 1, -1, 2}, 2, []int32{0, 1, 1})}
	first, err := own.Allocate(s, 30)
	if err != nil {
		t.Fatal(err)
	}
	v := []float64{12.5, 4, math.NaN()}
	own.Observe(alloc.Feedback{Step: 0, IDs: s.IDs, Counts: first, Asked: []int{2, 1, 0}, Variance: v})
	s.Step = 1
	second, err := own.Allocate(s, 26)
	if err != nil {
		t.Fatal(err)
	}
	const batch = `"losses": [0.5, 1, null], "ids": [4, 9, 1], "epoch": 1, ` +
		`"logits": [[0, 0], [3, 1], [-1, 2]], "labels": [0, 1, 1]`
	got, err := lines(t, Options{Allocator: build(t, "neyman"), Seed: 3, Budget: 30}, `{`+batch+`}`, "",
		`{"feedback": {"coefficients": [[3, -4], [2], []], "asked": [2, 1, 0]}, "budget": 26, `+batch+`}`,
		`{"feedback": {"variance": [1, 1, null]}}`)
	if err != nil || len(got) != 3 {
		t.Fatalf("%v, %v", got, err)
	}
	for i, want := range [][]int{first, second, nil} {
		if fmt.Sprint(got[i].Counts) != fmt.Sprint(want) {
			t.Errorf("line %d: %v, want %v", i, got[i].Counts, want)
		}
	}
	if got[0].Ratio != nil || math.Abs(*got[1].Ratio-alloc.Ratio(v, first)) > 1e-12 || got[2].Ratio == nil {
		t.Errorf("ratios of %v", got)
	}
	if got[0].Step != 0 || got[1].Step != 1 || got[2].Step != 1 {
		t.Errorf("steps of %v", got)
	}
}

// TestBudgets: of the flags and of a line, which goes before.
func TestBudgets(t *testing.T) {
	sum := func(o Options, line string) (n int) {
		o.Allocator = build(t, "uniform")
		got, err := lines(t, o, line)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range got[0].Counts {
			n += c
		}
		return n
	}
	for _, c := range []struct {
		o    Options
		line string
		want int
	}{
		{Options{Budget: 12}, `{"losses": [1, 2, 3]}`, 12},
		{Options{PerItem: 6}, `{"losses": [1, 2, 3]}`, 18},
		{Options{Budget: 12, PerItem: 6}, `{"losses": [1, 2], "budget": 4}`, 4},
	} {
		if got := sum(c.o, c.line); got != c.want {
			t.Errorf("%s: %d queries, want %d", c.line, got, c.want)
		}
	}
}

// TestStepsGoOn: a line's own step is that of the draws, and the next goes on from it.
func TestStepsGoOn(t *testing.T) {
	got, err := lines(t, Options{Allocator: build(t, "gaussian"), Budget: 40}, `{"losses": [1, 2, 3, 4]}`,
		`{"losses": [1, 2, 3, 4], "step": 7}`, `{"losses": [1, 2, 3, 4]}`, `{"losses": [1, 2, 3, 4], "step": 0}`)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{0, 7, 8, 0} {
		if got[i].Step != want {
			t.Errorf("answer %d is of step %d, want %d", i, got[i].Step, want)
		}
	}
	if fmt.Sprint(got[0].Counts) != fmt.Sprint(got[3].Counts) || len(got[0].Params) != 4 {
		t.Errorf("step 0 gave %v, then %v", got[0], got[3])
	}
}

func TestMistakesAreNamed(t *testing.T) {
	many := strings.Repeat("1,", maxItems) + "1"
	for in, want := range map[string]string{
		`{"losses": [NaN]}`:                                `no JSON: "losses": invalid character 'N'`,
		`[1]`:                                              "the line is no object",
		`{"losses": [1]`:                                   "no JSON",
		`{"losses": [1]} 2`:                                "more than one value",
		`{"Losses": [1]}`:                                  `no key "Losses"`,
		`{"losses": [1], "losses": [1]}`:                   `"losses" is there twice`,
		`{"losses": "a"}`:                                  `"losses": string where a list should be`,
		`{"losses": []}`:                                   `"losses" is empty`,
		`{}`:                                               "neither losses nor feedback",
		`{"losses": [1e400]}`:                              `"losses": number 1e400`,
		`{"losses": [` + many + `]}`:                       "4097 items",
		`{"losses": [1, 2], "ids": [1]}`:                   `"ids" has 1 entries for 2 losses`,
		`{"losses": [1], "ids": [1.5]}`:                    `"ids": number 1.5 where a whole number should be`,
		`{"losses": [1], "ids": [null]}`:                   `"ids": null where a whole number should be`,
		`{"losses": [1], "ids": [3000000000]}`:             `"ids": number 3000000000`,
		`{"losses": [1], "ids": []}`:                       `"ids" has 0 entries for 1 losses`,
		`{"losses": [1], "logits": [[1, 2]]}`:              `"logits" and "labels" are not both there`,
		`{"losses": [1], "logits": [[1]], "labels": [1]}`:  `"labels": 1 of item 0, which has 1 logits`,
		`{"losses": [1], "logits": [[1]], "labels": [-1]}`: `"labels": -1 of item 0`,
		`{"losses": [1], "labels": [0], "logits": [[]]}`:   `"logits": 0 numbers of item 0`,
		`{"losses": [1, 1], "features": [[1], [1, 2]]}`:    `"features": 2 numbers of item 1, 1 of item 0`,
		`{"losses": [1], "budget": 0}`:                     `"budget" is 0`,
		`{"losses": [1], "budget": 3}`:                     "3 queries cannot be spent in antithetic pairs",
		`{"losses": [1, 1], "budget": 2}`:                  "2 queries for 2 items that get at least 2 each",
		`{"losses": [1], "step": -1}`:                      `"step" is -1`,
		`{"losses": [1], "epoch": -1}`:                     `"epoch" is -1`,
		`{"feedback": {"variance": [1]}}`:                  "feedback of no step",
		`{"feedback": {"varianz": [1]}}`:                   `no key "varianz"`,
		`{"feedback": 3}`:                                  `"feedback" is no object`,
		`{"losses": [1], "surprise": [1], "logits": [[1]], "labels": [0]}`: `"logits" and "surprise" are both there`,
	} {
		_, err := lines(t, Options{Allocator: build(t, "neyman"), Budget: 8}, in)
		refused(t, in, err, "line 1: "+want)
	}
	asked := `{"losses": [1, 2]}`
	for in, want := range map[string]string{
		`{"feedback": {}}`: `"feedback" needs "variance" or "coefficients"`,
		`{"feedback": {"variance": [1, 2], "coefficients": [[1], [2]]}}`: `"feedback" needs`,
		`{"feedback": {"variance": [1]}}`:                                `"variance" has 1 entries for the 2 counts`,
		`{"feedback": {"coefficients": []}}`:                             `"coefficients" has 0 entries`,
		`{"feedback": {"variance": [1, 2], "asked": [1]}}`:               `"asked" has 1 entries`,
	} {
		_, err := lines(t, Options{Allocator: build(t, "neyman"), Budget: 8}, asked, in)
		refused(t, in, err, "line 2: "+want)
	}
	fed := `{"feedback": {"variance": [1, 2]}}`
	got, err := lines(t, Options{Allocator: build(t, "neyman"), Budget: 8}, asked, fed, fed)
	refused(t, "fed back twice", err, "line 3: feedback of no step")
	if len(got) != 2 {
		t.Errorf("%d lines before the mistake are answered, want 2", len(got))
	}
	_, err = lines(t, Options{Allocator: build(t, "neyman")}, asked)
	refused(t, "no budget", err, "line 1: no budget")
	cls, err := allocator.New("gaussian", allocator.Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = lines(t, Options{Allocator: cls, Budget: 8}, asked)
	refused(t, "no features", err, "line 1: no features")
}

// refused wants a user's error that begins so, with a hint.
func refused(t *testing.T, what string, err error, want string) {
	t.Helper()
	if e, ok := uierr.As(err); !ok || !strings.HasPrefix(e.What, want) || e.Hint == "" {
		t.Errorf("%.80s: %v, want %q with a hint", what, err, want)
	}
}

// FuzzLine: whatever the lines are, they are answered with counts that spend the
// budget, or refused as a user's mistake.
func FuzzLine(f *testing.F) {
	f.Add([]byte(`{"losses": [1, null], "ids": [3, 3], "features": [[1, 2], [3, 4]], "budget": 12, "step": 3}
{"feedback": {"variance": [1e300, 0], "asked": [2, -2]}, "losses": [-1e38, 1e39], "surprise": [0, 9]}`))
	f.Add([]byte(`{"losses": [0], "logits": [[1e39, -1e39]], "labels": [1]}
{"feedback": {"coefficients": [[1e200, null]]}, "losses": [1, 2, 3]}`))
	f.Add([]byte(`{"feedback": null, "losses": [1], "budget": 1099511627776}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		for _, name := range []string{"gaussian", "neyman"} {
			got, err := lines(t, Options{Allocator: build(t, name), PerItem: 4}, string(in))
			if _, told := uierr.As(err); err != nil && !told {
				t.Fatalf("%s: %v", name, err)
			}
			for _, a := range got {
				sum := 0
				for _, n := range a.Counts {
					if n < 2 || n%2 != 0 {
						t.Fatalf("%s: counts %v", name, a.Counts)
					}
					sum += n
				}
				if sum < 2*len(a.Counts) {
					t.Fatalf("%s: counts %v", name, a.Counts)
				}
			}
		}
	})
}
