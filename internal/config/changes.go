package config

import (
	"fmt"
	"reflect"
	"strings"
)

// Change is a key whose value is not the default.
type Change struct {
	Key   string
	Value any // a float64, a bool or a text; of a list its values parted by spaces
}

// Changes lists what an experiment sets otherwise than Default, in the order of
// the keys.
func Changes(c Config) (out []Change) {
	d := Default()
	for _, f := range fields() {
		v, was := f.of(&c), f.of(&d)
		if reflect.DeepEqual(v.Interface(), was.Interface()) || v.Kind() == reflect.Slice && v.Len() == 0 && was.Len() == 0 {
			continue
		}
		one := Change{Key: f.key}
		switch {
		case v.CanInt():
			one.Value = float64(v.Int())
		case v.CanFloat():
			one.Value = v.Float()
		case v.Kind() == reflect.Bool:
			one.Value = v.Bool()
		default:
			one.Value = strings.Trim(fmt.Sprint(v.Interface()), "[]")
		}
		out = append(out, one)
	}
	return out
}
