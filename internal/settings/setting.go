// Package settings is how something that a config chooses by name (an allocator,
// an estimator, an objective, an optimizer) says what it can be told and what it
// learns. Each declares its settings beside its code and names them where it
// registers:
//
//	var tilt = settings.New("tilt", 0.5, "how far shares follow the loss", settings.From(0, 1))
//
//	func init() {
//		Register("tilted", newTilted).Takes(tilt).Learns(settings.Param{Name: "slope", Doc: "of the shares"})
//	}
//
// and reads them as tilt.Of(o.Own). Everything else is made from that: package
// config decodes the key allocator.tilt and checks it, the JSON schema and shell
// completion know it, and pages and event files draw the learned parameters
// under their names.
package settings

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"regexp"
)

// Value is what a setting may hold.
type Value interface {
	bool | int | int64 | float64 | string | []string | []int | []float64
}

// Setting is one key that an implementation adds to its section of a config.
type Setting struct {
	Key     string   // within its section, such as "decay"
	Doc     string   // what it is, in a line
	Default any      // of the key's type
	Choices []string // the texts that it may be, or hold; nil: any
	Bound   *Bound   // of a number or each of a list; nil: any
	Lengths *Length  // of a list; nil: any

	that  func(any) error // what else a value is asked; may be nil
	under *under          // nil: read whatever the others are
}

// In is the value that was given, or the default.
func (s *Setting) In(v Values) any {
	if x, ok := v[s.Key]; ok && reflect.TypeOf(x) == s.Type() {
		return x
	}
	return s.Default
}

func (s *Setting) setting() *Setting { return s }

// Type is the type of the setting's values.
func (s *Setting) Type() reflect.Type { return reflect.TypeOf(s.Default) }

// Declared is a Key of any type.
type Declared interface{ setting() *Setting }

// Key is a setting with the type of its values.
type Key[T Value] struct{ Setting }

var keys = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// New declares a setting: its key, which is lower case, what it is where nothing
// is said, a line that explains it, and the rules that its values keep. A key
// that is none, and a default that breaks a rule, panic.
func New[T Value](key string, byDefault T, doc string, rules ...Rule) *Key[T] {
	k := &Key[T]{Setting{Key: key, Doc: doc, Default: byDefault}}
	for _, r := range rules {
		r(&k.Setting)
	}
	if !keys.MatchString(key) {
		panic(fmt.Sprintf("settings: %q is no key", key))
	}
	if err := k.Check(key, byDefault); err != nil {
		panic(fmt.Sprintf("settings: the default of %v", err))
	}
	return k
}

// Of is the value that was given, or the default. A list is not to be changed.
func (k *Key[T]) Of(v Values) T { return k.In(v).(T) }

// With is v with another value of this setting; v stays as it is.
func (k *Key[T]) With(v Values, x T) Values {
	out := maps.Clone(v)
	if out == nil {
		out = Values{}
	}
	out[k.Key] = x
	return out
}

// Values are the settings of a section that belong to implementations, by key.
// What is missing has its default. They are never changed in place, so that
// copies of a config may share them.
type Values map[string]any

// Param is a number that an implementation learns or keeps, by the name under
// which it is drawn.
type Param struct {
	Name string
	Doc  string // what it means, in a few words
}

// Floats are learned numbers as a file of JSON holds them: one that is not finite
// is null there.
type Floats []float64

// MarshalJSON implements json.Marshaler.
func (n Floats) MarshalJSON() ([]byte, error) {
	out := make([]*float64, len(n))
	for i, v := range n {
		out[i] = Finite(v)
	}
	return json.Marshal(out)
}

// Finite is a number as a file of JSON holds it, nil where it is not finite.
func Finite(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}

// UnmarshalJSON reads what MarshalJSON wrote; null is NaN.
func (n *Floats) UnmarshalJSON(raw []byte) error {
	var in []*float64
	if err := json.Unmarshal(raw, &in); err != nil {
		return err
	}
	*n = make(Floats, len(in))
	for i, v := range in {
		if (*n)[i] = math.NaN(); v != nil {
			(*n)[i] = *v
		}
	}
	return nil
}

// Parameters is implemented by what learns numbers worth drawing: Params are
// their values, in the order in which its registration names them, nil where
// there are none.
type Parameters interface{ Params() []float64 }

// ParamsOf are the learned numbers of an implementation, nil where it has none.
func ParamsOf(x any) []float64 {
	if p, ok := x.(Parameters); ok {
		return p.Params()
	}
	return nil
}
