package settings

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/flops-vit/flops/internal/uierr"
)

var (
	tilt  = New("tilt", 0.5, "how far", From(0, 1))
	names = New("names", []string{"a"}, "which", Among("a", "b"))
)

// TestValues: a value that is missing, or of another type, is the default, and
// With leaves what it is given as it was.
func TestValues(t *testing.T) {
	var none Values
	some := tilt.With(none, 1)
	more := names.With(some, []string{"b"})
	for _, c := range []struct {
		v     Values
		tilt  float64
		names []string
	}{{none, 0.5, []string{"a"}}, {some, 1, []string{"a"}}, {more, 1, []string{"b"}},
		{Values{"tilt": 3}, 0.5, []string{"a"}}} {
		if tilt.Of(c.v) != c.tilt || !slices.Equal(names.Of(c.v), c.names) {
			t.Errorf("%v holds %v and %v", c.v, tilt.Of(c.v), names.Of(c.v))
		}
	}
	if len(some) != 1 {
		t.Errorf("With changed what it was given: %v", some)
	}
}

func TestCheck(t *testing.T) {
	pair := New("pair", []float64{1, 2}, "two", Above(0, 2), Long("are not two", "give two", 2),
		That(func(x []float64) error {
			if x[0] > x[1] {
				return uierr.New("falls", "give the smaller first")
			}
			return nil
		}))
	for _, c := range []struct {
		s    Declared
		x    any
		want string // in the error; "" for none
	}{
		{tilt, 0.0, ""}, {tilt, 1.0, ""}, {tilt, 1.5, "x: 1.5 is out of range"}, {tilt, 1, "is a int"},
		{tilt, nil, "is a <nil>"}, {names, []string{"b", "a"}, ""}, {names, []string{"c"}, `x: "c" is no choice`},
		{names, "a", "is a string"}, {pair, []float64{1, 2}, ""}, {pair, []float64{1}, "x: [1] are not two"},
		{pair, []float64{0, 1}, "is out of range"}, {pair, []float64{2, 1}, "x: falls"},
	} {
		err := c.s.setting().Check("x", c.x)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %q", c.x, err, c.want)
		}
	}
}

// TestRegistry: two that share a setting own it together; settings come in the
// order of their owners.
func TestRegistry(t *testing.T) {
	r := NewRegistry[int]("thing.name", "thing")
	was := Version()
	r.Add("b", 2).Takes(tilt).Learns(Param{Name: "x"}).Keeps(Param{Name: "y"})
	gone := r.Add("a", 1).Takes(names, tilt)
	if Version() == was {
		t.Error("a registration left the version as it was")
	}
	var got []string
	for _, o := range r.Settings() {
		got = append(got, o.Key+" "+o.About())
	}
	if want := []string{"names a: which", "tilt a, b: how far"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if d := Defaults(r.Settings()); len(d) != 2 || d["tilt"] != 0.5 {
		t.Errorf("defaults %v", d)
	}
	if r.Learned("b")[0].Name != "x" || r.Kept("b")[0].Name != "y" || r.Learned("c") != nil || r.Kept("c") != nil {
		t.Error("parameters are not as they were registered")
	}
	gone.Forget()
	if _, err := r.Get("a"); err == nil || !strings.Contains(err.Error(), `thing.name: no thing "a"`) {
		t.Errorf("after Forget: %v", err)
	}
	if n, err := r.Get("b"); n != 2 || err != nil || !slices.Equal(r.Names(), []string{"b"}) {
		t.Errorf("%v, %v, %v", n, err, r.Names())
	}
}

// TestMistakesOfProgrammers: what no run may meet panics where it is declared.
func TestMistakesOfProgrammers(t *testing.T) {
	r := NewRegistry[int]("thing.name", "thing")
	r.Add("a", 1).Takes(tilt)
	for what, f := range map[string]func(){
		"a name that is taken":          func() { r.Add("a", 2) },
		"another setting under its key": func() { r.Add("b", 2).Takes(New("tilt", 1, "a whole number")) },
		"a setting twice":               func() { r.Add("c", 3).Takes(names, names) },
		"a key with capitals":           func() { New("Tilt", 1, "") },
		"a default out of bounds":       func() { New("tilt", 2.0, "", From(0, 1)) },
		"a default that is no choice":   func() { New("word", "c", "", Among("a", "b")) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s did not panic", what)
				}
			}()
			f()
		}()
	}
}

// TestFloats: what is not finite is null in a file, and NaN again.
func TestFloats(t *testing.T) {
	raw, err := json.Marshal(Floats{1, math.NaN(), math.Inf(1), 0.1})
	if err != nil || string(raw) != "[1,null,null,0.1]" {
		t.Fatalf("%s, %v", raw, err)
	}
	var back Floats
	if err := json.Unmarshal(raw, &back); err != nil || len(back) != 4 || back[3] != 0.1 || !math.IsNaN(back[1]) {
		t.Errorf("%v, %v", back, err)
	}
}
