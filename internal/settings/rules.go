package settings

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/flops-vit/flops/internal/uierr"
)

// Rule restricts the values of a setting.
type Rule func(*Setting)

// Bound is the smallest and largest value of a number, or of each in a list.
type Bound struct {
	Lo, Hi         float64
	LoOpen, HiOpen bool // Lo, Hi itself is out
}

// Holds says whether a number is within the bound.
func (b Bound) Holds(x float64) bool {
	return x >= b.Lo && x <= b.Hi && !(b.LoOpen && x == b.Lo) && !(b.HiOpen && x == b.Hi)
}

// String is the bound in words, as hints have it.
func (b Bound) String() string {
	word, end := "from", ""
	if b.LoOpen {
		word = "above"
	}
	if b.HiOpen {
		end = ", not included"
	}
	return fmt.Sprintf("%s %v to %v%s", word, b.Lo, b.Hi, end)
}

// Length is what a list must have.
type Length struct {
	Of   []int
	Why  string // is wrong with a list of another length, as in "are not two decays"
	Hint string
}

// From bounds numbers by lo and hi, which both may be.
func From(lo, hi float64) Rule { return Within(Bound{Lo: lo, Hi: hi}) }

// Above bounds numbers by lo, which none may be, and hi, which they may.
func Above(lo, hi float64) Rule { return Within(Bound{Lo: lo, Hi: hi, LoOpen: true}) }

// Within bounds numbers.
func Within(b Bound) Rule { return func(s *Setting) { s.Bound = &b } }

// Among lists the texts that a setting may be, or hold.
func Among(choices ...string) Rule { return func(s *Setting) { s.Choices = choices } }

// Long fixes how long a list is; why and hint are told of another length.
func Long(why, hint string, of ...int) Rule {
	return func(s *Setting) { s.Lengths = &Length{Of: of, Why: why, Hint: hint} }
}

// Under says that a setting is read only where another, of the same section, is one of
// some choices.
func Under(of *Key[string], choices ...string) Rule {
	return func(s *Setting) { s.under = &under{of, choices} }
}

// under is what Under says.
type under struct {
	of      *Key[string]
	choices []string
}

// Read says whether the setting is read beside the others of its section: not where
// Under asks for another choice.
func (s *Setting) Read(v Values) bool {
	return s.under == nil || slices.Contains(s.under.choices, s.under.of.Of(v))
}

// About is the setting's line, with the choices before it that it is read under.
func (s *Setting) About() string {
	if s.under == nil {
		return s.Doc
	}
	return strings.Join(s.under.choices, ", ") + ": " + s.Doc
}

// That asks values what no other rule can say; check's error is an *uierr.Error
// that begins with what is wrong, without the key.
func That[T Value](check func(T) error) Rule {
	return func(s *Setting) { s.that = func(x any) error { return check(x.(T)) } }
}

// Check says what is wrong with a value, nil where nothing is: its type, its
// length, a number out of bounds, a text that is no choice, or what That asks.
// name is what the user calls the setting. The error is an *uierr.Error.
func (s *Setting) Check(name string, x any) error {
	v := reflect.ValueOf(x)
	wrong := func(shown any, why, hint string) error {
		return uierr.New(fmt.Sprintf("%s: %v %s", name, shown, why), hint)
	}
	if !v.IsValid() || v.Type() != s.Type() {
		return wrong(x, fmt.Sprintf("is a %T", x), fmt.Sprintf("give a %v", s.Type()))
	}
	if s.Lengths != nil && !slices.Contains(s.Lengths.Of, v.Len()) {
		return wrong(x, s.Lengths.Why, s.Lengths.Hint)
	}
	if s.Bound != nil && slices.ContainsFunc(Numbers(v), func(n float64) bool { return !s.Bound.Holds(n) }) {
		return wrong(x, "is out of range", "give a number "+s.Bound.String())
	}
	texts, ok := x.([]string)
	if !ok {
		texts = []string{v.String()}
	}
	for _, t := range texts {
		if s.Choices != nil && !slices.Contains(s.Choices, t) {
			return wrong(fmt.Sprintf("%q", t), "is no choice", "choose one of "+strings.Join(s.Choices, ", "))
		}
	}
	if s.that == nil {
		return nil
	}
	err := s.that(x)
	if e, ok := uierr.As(err); ok {
		return uierr.Wrap(err, name+": "+e.What, e.Hint)
	}
	return err
}

// Numbers are the numbers of a value, one or a list.
func Numbers(v reflect.Value) []float64 {
	switch {
	case v.Kind() == reflect.Slice:
		var out []float64
		for i := range v.Len() {
			out = append(out, Numbers(v.Index(i))...)
		}
		return out
	case v.CanInt():
		return []float64{float64(v.Int())}
	case v.CanFloat():
		return []float64{v.Float()}
	}
	return nil
}
