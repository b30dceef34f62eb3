package settings

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/flops-vit/flops/internal/uierr"
)

// version counts what was registered, in every registry.
var version atomic.Int64

// Version is another number after everything that is registered, so that what is
// made from the registries can be kept until then.
func Version() int64 { return version.Load() }

// Registry holds the implementations that one key of a config chooses among, by
// name, each with what builds it. It is filled from init functions.
type Registry[B any] struct {
	key     string // the key that chooses, such as allocator.name
	what    string // one of them, in a word
	entries map[string]*entry[B]
}

type entry[B any] struct {
	build B
	about *Registration
}

// NewRegistry makes the registry behind a key, such as allocator.name; what is
// the word for one of its implementations.
func NewRegistry[B any](key, what string) *Registry[B] {
	return &Registry[B]{key: key, what: what, entries: map[string]*entry[B]{}}
}

// Add registers an implementation. A name that is taken panics: two files would
// answer for one config.
func (r *Registry[B]) Add(name string, build B) *Registration {
	if r.entries[name] != nil {
		panic(fmt.Sprintf("settings: two implementations of %s: %s", r.key, name))
	}
	about := &Registration{name: name, key: r.key, others: r.Settings, forget: func() { delete(r.entries, name) }}
	r.entries[name] = &entry[B]{build, about}
	version.Add(1)
	return about
}

// Names lists the implementations in alphabetic order.
func (r *Registry[B]) Names() []string { return slices.Sorted(maps.Keys(r.entries)) }

// Get is what builds an implementation. An unknown name is an *uierr.Error.
func (r *Registry[B]) Get(name string) (B, error) {
	e := r.entries[name]
	if e == nil {
		var none B
		return none, uierr.New(fmt.Sprintf("%s: no %s %q", r.key, r.what, name), "use one of "+strings.Join(r.Names(), ", "))
	}
	return e.build, nil
}

// Owned is a setting with the implementations that read it.
type Owned struct {
	*Setting
	Owners []string
}

// About is the setting's line, with whose it is before it.
func (o Owned) About() string { return strings.Join(o.Owners, ", ") + ": " + o.Setting.About() }

// Settings lists the settings of all implementations, in the order of their
// names and of each one's declarations.
func (r *Registry[B]) Settings() []Owned {
	var out []Owned
	for _, name := range r.Names() {
		for _, s := range r.entries[name].about.takes {
			if i := slices.IndexFunc(out, func(o Owned) bool { return o.Key == s.Key }); i >= 0 {
				out[i].Owners = append(out[i].Owners, name)
			} else {
				out = append(out, Owned{s, []string{name}})
			}
		}
	}
	return out
}

// Learned names the numbers that an implementation learns; none where there is no
// such implementation.
func (r *Registry[B]) Learned(name string) []Param {
	if e := r.entries[name]; e != nil {
		return e.about.learns
	}
	return nil
}

// Kept names the tensors that an implementation keeps per parameter in a
// checkpoint.
func (r *Registry[B]) Kept(name string) []Param {
	if e := r.entries[name]; e != nil {
		return e.about.keeps
	}
	return nil
}

// Is says whether an implementation has a trait; not where there is no such
// implementation.
func (r *Registry[B]) Is(name string, t Trait) bool {
	e := r.entries[name]
	return e != nil && slices.Contains(e.about.traits, t)
}

// Those lists the implementations with a trait, in alphabetic order.
func (r *Registry[B]) Those(t Trait) []string {
	return slices.DeleteFunc(r.Names(), func(name string) bool { return !r.Is(name, t) })
}

// Trait is something that holds of some implementations and that a config must know
// before it makes one: the rules ask for it, and not for names.
type Trait string

// Registration is what an implementation says of itself beside its name.
type Registration struct {
	name, key     string
	traits        []Trait
	others        func() []Owned
	forget        func()
	takes         []*Setting
	learns, keeps []Param
}

// Takes names the settings that the implementation reads. One that another has
// under the same key must be the same in all that it says, since a config has one
// such key: share the variable, or choose another key. Else it panics.
func (r *Registration) Takes(all ...Declared) *Registration {
	for _, d := range all {
		s := d.setting()
		for _, o := range r.others() {
			same := o.Setting == s || reflect.DeepEqual(o.Setting, s)
			if o.Key == s.Key && (!same || slices.Contains(o.Owners, r.name)) {
				panic(fmt.Sprintf("settings: %s: the setting %s of %s is one of %s already", r.key, s.Key, r.name,
					strings.Join(o.Owners, ", ")))
			}
		}
		r.takes = append(r.takes, s)
	}
	version.Add(1)
	return r
}

// Is says that the implementation has traits.
func (r *Registration) Is(all ...Trait) *Registration {
	r.traits = append(r.traits, all...)
	version.Add(1)
	return r
}

// Learns names the numbers that the implementation's Params are, in their order.
func (r *Registration) Learns(all ...Param) *Registration {
	r.learns = append(r.learns, all...)
	return r
}

// Keeps names the tensors that the implementation keeps per parameter in a
// checkpoint.
func (r *Registration) Keeps(all ...Param) *Registration {
	r.keeps = append(r.keeps, all...)
	return r
}

// Forget takes the implementation out of its registry again, for tests that
// registered it.
func (r *Registration) Forget() {
	r.forget()
	version.Add(1)
}

// Defaults are the values of settings that nothing is said of.
func Defaults(all []Owned) Values {
	out := Values{}
	for _, o := range all {
		out[o.Key] = o.Default
	}
	return out
}
