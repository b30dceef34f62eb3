// Package metric holds what a trained model is measured by. There is one file
// per metric, and a registry by name: the programs that choose, print, plot and
// save metrics ask the registry and know none of them.
//
// To add one, write one file:
//
//	func init() {
//		Register(Metric{Name: "brier", Title: "Brier score",
//			About:  "mean squared distance of the probabilities from the label",
//			Better: Lower, Needs: Logits, New: func(Task) Accumulator { return &brier{} }})
//	}
//
// and choose it in a config as `train: {metrics: [brier]}`.
package metric

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/flops-vit/flops/internal/uierr"
)

// Metric says how well a model answers, in one number, or in one for each of At.
type Metric struct {
	Name   string // in configs, files and tags: small letters, digits and _
	Title  string // for people, such as "top-1"
	About  string // what it is, one line for pages
	Better Direction
	Range  Range
	Needs  Needs
	Least  int // outputs of an image without which it says nothing; 0: one

	// At are the numbers that it is taken at, such as the k of recall at k, and
	// Each what it is called there. Without them it is one number.
	At   []int
	Each string

	// Standard is its place among the metrics that are measured wherever they can
	// be, in the order in which they are shown; the others, with 0, are measured
	// where they are chosen. A file has keys for the standard ones (runs.Eval).
	Standard int

	// One of these makes its value. New begins to accumulate it in memory that
	// does not grow with the images. Whole takes all images at once, whose outputs
	// are kept until then: for what compares images with one another.
	New   func(Task) Accumulator
	Whole func(Task, *Batch) ([]float64, error)
}

// Accumulator adds images up. Its numbers must be the same, bit for bit, however
// the images are parted into batches: add them one by one, in their order.
type Accumulator interface {
	// Add takes the next images. Outputs that are not finite may make the value
	// no number, never a panic.
	Add(*Batch) error
	// Value is one number, or one for each of At. There was at least one image.
	Value() []float64
}

// Direction says which values are better.
type Direction int

// Directions.
const (
	Higher Direction = iota
	Lower
)

// String is higher or lower.
func (d Direction) String() string {
	if d == Lower {
		return "lower"
	}
	return "higher"
}

// Beats says whether value a is better than b; a number beats what is none.
func (d Direction) Beats(a, b float64) bool {
	if d == Lower {
		a, b = -a, -b
	}
	return a > b || a == a && b != b
}

// Range says what values there are.
type Range int

// Ranges.
const (
	Number Range = iota // any number
	Share               // from 0 to 1, a percentage on pages
)

// Needs says what a model must answer.
type Needs int

// What a model answers. Whoever asks for Logits gets those of a model that
// chooses one class for each image, whose softmax are its probabilities, and the
// images' labels; with Embeddings it gets the outputs of a network that is
// aligned with texts, and the texts.
const (
	Losses Needs = iota // the loss of each image alone, which every model has
	Logits
	Embeddings
)

// String is what is needed, in words.
func (n Needs) String() string {
	return [...]string{"losses", "logits of classes", "embeddings that are aligned with texts"}[n]
}

// Task is what is measured, before the first image.
type Task struct {
	Outputs int       // numbers that the model answers of an image
	Aligned bool      // they are an embedding; else the logits of so many classes
	Classes []float32 // aligned: the text of each class, one row of Outputs values each
}

// Batch is images in their order, as a model answered them.
type Batch struct {
	Size    int       // images
	Losses  []float32 // one per image
	Outputs []float32 // Size×Task.Outputs, row-major
	Labels  []int32   // the class of each image
	Texts   []float32 // aligned: the text of each image, Size×Task.Outputs; else nil
}

var (
	registered = map[string]*Metric{}
	nameForm   = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
)

// Register adds a metric; call it from init. A name that is taken or no name, and
// a metric without a value, panic.
func Register(m Metric) {
	if !nameForm.MatchString(m.Name) || m.Title == "" || m.About == "" || (m.New == nil) == (m.Whole == nil) ||
		(len(m.At) > 0) != (m.Each != "") {
		panic(fmt.Sprintf("metric: %q does not say all that a metric has to", m.Name))
	}
	if registered[m.Name] != nil {
		panic("metric: two metrics named " + m.Name)
	}
	registered[m.Name] = &m
}

// Named is the metric of a name. Of a name that is not registered, such as that in
// a file which another version wrote, it is a metric that can be shown and not
// measured.
func Named(name string) *Metric {
	if m := registered[name]; m != nil {
		return m
	}
	return &Metric{Name: name, Title: name, About: "a metric that this version does not know", Each: name}
}

// Names lists the registered metrics: the standard ones in their order, then the
// others by name.
func Names() []string {
	var out []string
	for n := range registered {
		out = append(out, n)
	}
	slices.SortFunc(out, func(a, b string) int {
		x, y := registered[a].Standard, registered[b].Standard
		switch {
		case x == y:
			return strings.Compare(a, b)
		case x == 0 || y != 0 && x > y:
			return 1
		}
		return -1
	})
	return out
}

// lacks says what a task has not that the metric needs; nothing where it fits.
func (m *Metric) lacks(t Task) string {
	answers := Logits
	if t.Aligned {
		answers = Embeddings
	}
	switch {
	case m.Needs != Losses && m.Needs != answers:
		return fmt.Sprintf("needs %s, and what is measured answers %s", m.Needs, answers)
	case t.Outputs < m.Least:
		return fmt.Sprintf("needs %d outputs or more, and what is measured has %d", m.Least, t.Outputs)
	}
	return ""
}

// Check refuses chosen metrics that cannot be measured, or are none, as a user's
// mistake under the key that chose them.
func Check(t Task, key string, chosen []string) error {
	var can []string
	for _, n := range Names() {
		if registered[n].lacks(t) == "" {
			can = append(can, n)
		}
	}
	for _, n := range chosen {
		why := "is no metric"
		if m := registered[n]; m != nil {
			why = m.lacks(t)
		}
		if why != "" {
			return uierr.New(fmt.Sprintf("%s: %s %s", key, n, why), "choose among "+strings.Join(can, ", "))
		}
	}
	return nil
}
