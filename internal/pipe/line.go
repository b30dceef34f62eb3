package pipe

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"

	"github.com/flops-vit/flops/internal/uierr"
)

// number is a number of a line; null is one that is none (NaN).
type number float64

// UnmarshalJSON reads a number or null.
func (n *number) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*n = number(math.NaN())
		return nil
	}
	return json.Unmarshal(b, (*float64)(n))
}

// whole is a whole number of a line; null is none.
type whole int32

// UnmarshalJSON reads a whole number.
func (w *whole) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return &json.UnmarshalTypeError{Value: "null", Type: reflect.TypeFor[int32]()}
	}
	return json.Unmarshal(b, (*int32)(w))
}

// line is what one line says.
type line struct {
	Losses   []number
	IDs      []whole
	Features [][]number
	Surprise []number
	Logits   [][]number
	Labels   []whole
	Budget   *int
	Step     *int
	Epoch    int
	Feedback *feedback
}

// feedback is what the queries of the last step showed.
type feedback struct {
	Variance     []number
	Coefficients [][]number
	Asked        []whole
}

func (l *line) fields() map[string]any {
	return map[string]any{"losses": &l.Losses, "ids": &l.IDs, "features": &l.Features, "surprise": &l.Surprise,
		"logits": &l.Logits, "labels": &l.Labels, "budget": &l.Budget, "step": &l.Step, "epoch": &l.Epoch,
		"feedback": &l.Feedback}
}

func (f *feedback) fields() map[string]any {
	return map[string]any{"variance": &f.Variance, "coefficients": &f.Coefficients, "asked": &f.Asked}
}

// UnmarshalJSON reads the object that "feedback" is.
func (f *feedback) UnmarshalJSON(b []byte) error { return object(b, `"feedback"`, f.fields()) }

// parse reads a line. Its errors do not say which line it was.
func parse(raw []byte) (*line, error) {
	var l line
	if err := object(raw, "the line", l.fields()); err != nil {
		return nil, err
	}
	return &l, l.check()
}

// object reads an object whose keys are exactly those of fields.
func object(raw []byte, what string, fields map[string]any) error {
	known := strings.Join(slices.Sorted(maps.Keys(fields)), ", ")
	d := json.NewDecoder(bytes.NewReader(raw))
	t, err := d.Token()
	if err != nil {
		return broken(err)
	}
	if t != json.Delim('{') {
		return uierr.New(what+" is no object", "write {...} with keys of "+known)
	}
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return broken(err)
		}
		key, _ := t.(string) // of an object: always one
		field, ok := fields[key]
		switch {
		case !ok:
			return uierr.New(fmt.Sprintf("no key %q", key), "the keys of "+what+" are "+known)
		case seen[key]:
			return uierr.New(fmt.Sprintf("%q is there twice", key), "leave one of them out")
		}
		seen[key] = true
		if err := d.Decode(field); err != nil {
			if _, told := uierr.As(err); told {
				return err
			}
			return value(key, err)
		}
	}
	if _, err := d.Token(); err != nil {
		return broken(err)
	}
	if d.More() {
		return uierr.New("more than one value in a line", "write one object per line")
	}
	return nil
}

// broken is a line that is not JSON.
func broken(err error) error {
	return uierr.Wrap(err, fmt.Sprintf("no JSON: %v", err),
		"write one object per line, and null for a number that is none")
}

// value is a key's value that is of another kind than the key's.
func value(key string, err error) error {
	if t, ok := err.(*json.UnmarshalTypeError); ok {
		return uierr.Wrap(err, fmt.Sprintf("%q: %s where a %s should be", key, t.Value, kind(t.Type.Kind().String())),
			"docs/protocol.md says what each key holds")
	}
	return broken(fmt.Errorf("%q: %w", key, err))
}

// kind is a Go kind in words of JSON.
func kind(k string) string {
	switch {
	case k == "slice":
		return "list"
	case strings.HasPrefix(k, "int"):
		return "whole number"
	}
	return "number that 64 bits hold"
}
