package metric

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
)

// Value is what one metric measured: one number, or one for each of its At.
type Value struct {
	Name    string
	Numbers []float64
}

// Values are what several measured, in the order in which they are shown. In JSON
// they are an object in that order, a metric of several numbers a list, and what
// is no finite number null.
type Values []Value

// One is a number of a value, as it is shown.
type One struct {
	Metric *Metric
	Tag    string // its name in tags and columns: ece, image_to_text_5
	Title  string // for people: ECE, image to text recall@5
	Value  float64
}

// Text is the number with as many digits as a terminal shows.
func (o One) Text() string { return fmt.Sprintf("%.4f", o.Value) }

// Of is the value of a metric, empty where it was not measured.
func (v Values) Of(name string) Value {
	for _, one := range v {
		if one.Name == name {
			return one
		}
	}
	return Value{Name: name}
}

// Ones lists every number.
func (v Values) Ones() (out []One) {
	for _, one := range v {
		out = append(out, one.Ones()...)
	}
	return out
}

// Ones lists the numbers of a value.
func (v Value) Ones() (out []One) {
	m := Named(v.Name)
	for i, x := range v.Numbers {
		o := One{Metric: m, Tag: m.Name, Title: m.Title, Value: x}
		if len(m.At) == len(v.Numbers) {
			o.Tag, o.Title = fmt.Sprintf("%s_%d", m.Name, m.At[i]), fmt.Sprintf("%s %s@%d", m.Title, m.Each, m.At[i])
		} else if len(v.Numbers) > 1 { // of another version
			o.Tag, o.Title = fmt.Sprintf("%s_%d", m.Name, i), fmt.Sprintf("%s %d", m.Title, i)
		}
		out = append(out, o)
	}
	return out
}

// Tags are the names of the numbers of some metrics, before they are measured.
func Tags(names []string) (out []string) {
	for i, n := range names {
		if slices.Contains(names[:i], n) {
			continue
		}
		v := Value{Name: n, Numbers: make([]float64, max(1, len(Named(n).At)))}
		for _, o := range v.Ones() {
			out = append(out, o.Tag)
		}
	}
	return out
}

// MarshalJSON writes the values as Values says.
func (v Values) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, one := range v {
		if i > 0 {
			b.WriteByte(',')
		}
		list := make([]*float64, len(one.Numbers))
		for k, x := range one.Numbers {
			if !math.IsNaN(x) && !math.IsInf(x, 0) {
				list[k] = &x
			}
		}
		var what any = list
		if len(list) == 1 && len(Named(one.Name).At) == 0 {
			what = list[0]
		}
		name, err := json.Marshal(one.Name)
		if err != nil {
			return nil, err
		}
		raw, err := json.Marshal(what)
		if err != nil {
			return nil, err
		}
		b.Write(append(append(name, ':'), raw...))
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// UnmarshalJSON reads what MarshalJSON wrote; null is NaN.
func (v *Values) UnmarshalJSON(raw []byte) error {
	*v = nil
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		if t == nil && err == nil {
			return nil // null
		}
		return fmt.Errorf("metrics: %s is no object", raw)
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		var what json.RawMessage
		if err := d.Decode(&what); err != nil {
			return err
		}
		if what[0] != '[' {
			what = json.RawMessage("[" + string(what) + "]")
		}
		var list []*float64
		if err := json.Unmarshal(what, &list); err != nil {
			return fmt.Errorf("metrics: %v: %w", name, err)
		}
		one := Value{Name: fmt.Sprint(name)}
		for _, x := range list {
			if x == nil {
				nan := math.NaN()
				x = &nan
			}
			one.Numbers = append(one.Numbers, *x)
		}
		*v = append(*v, one)
	}
	return nil
}
