package config

import (
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/flops-vit/flops/internal/settings"
	"github.com/flops-vit/flops/internal/uierr"
)

// field is one key of the vocabulary.
type field struct {
	key  string // full path, "train.steps"
	typ  reflect.Type
	path []int           // index path in Config; of an own setting that of its section's Own
	own  *settings.Owned // what a registered implementation declares; nil of a struct's field
}

// of is the value of the key in a config.
func (f field) of(c *Config) reflect.Value {
	v := reflect.ValueOf(c).Elem().FieldByIndex(f.path)
	if f.own == nil {
		return v
	}
	if x := reflect.ValueOf(v.Interface().(settings.Values)[f.own.Key]); x.IsValid() && x.Type() == f.typ {
		return x
	}
	return reflect.ValueOf(f.own.Default)
}

// vocabulary keeps the fields until something is registered.
var vocabulary struct {
	sync.Mutex
	version int64
	fields  []field
}

// fields lists every key that holds a value, in the order of the structs. The
// list is not to be changed.
func fields() []field {
	vocabulary.Lock()
	defer vocabulary.Unlock()
	if v := settings.Version(); vocabulary.fields == nil || vocabulary.version != v {
		vocabulary.fields, vocabulary.version = collect(reflect.TypeFor[Config](), "", nil), v
	}
	return vocabulary.fields
}

func collect(t reflect.Type, prefix string, path []int) []field {
	var out []field
	for i := range t.NumField() {
		f := t.Field(i)
		key := prefix + f.Tag.Get("yaml")
		at := append(slices.Clone(path), i)
		switch {
		case f.Type == reflect.TypeFor[settings.Values]():
			out = withOwn(out, prefix, at)
		case f.Type.Kind() == reflect.Struct:
			out = append(out, collect(f.Type, key+".", at)...)
		default:
			out = append(out, field{key: key, typ: f.Type, path: at})
		}
	}
	return out
}

// find returns the field of a full key.
func find(key string) (field, bool) {
	for _, f := range fields() {
		if f.key == key {
			return f, true
		}
	}
	return field{}, false
}

// section says whether a key is a group of keys.
func section(key string) bool {
	for _, f := range fields() {
		if strings.HasPrefix(f.key, key+".") {
			return true
		}
	}
	return false
}

// Keys lists every key of the vocabulary.
func Keys() []string {
	var out []string
	for _, f := range fields() {
		out = append(out, f.key)
	}
	return out
}

// nearest is the known key that resembles an unknown one most, or "" where none
// does.
func nearest(key string, known []string) string {
	best, score := "", len(key)/2+1
	last := key[strings.LastIndexByte(key, '.')+1:]
	for _, k := range known {
		d := uierr.Distance(key, k)
		if l := k[strings.LastIndexByte(k, '.')+1:]; last == l {
			d = min(d, 1) // the right name under the wrong section
		}
		if d < score {
			best, score = k, d
		}
	}
	return best
}

// describe names a type for people.
func describe(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a text"
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64:
		return "a whole number"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Slice:
		switch t.Elem().Kind() {
		case reflect.String:
			return "a list of texts, such as [a, b]"
		case reflect.Int:
			return "a list of whole numbers"
		}
		return "a list of numbers, such as [0.5, 0.5]"
	}
	return t.String()
}
