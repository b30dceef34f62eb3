package prompt

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/internal/uierr"
)

// Mapping turns the answers of a model into logits of the task.
type Mapping interface {
	Model() int // classes of the model
	Task() int  // classes of the task
	// Apply writes the n×Task logits of the task for n×Model answers.
	Apply(dst, logits []float32, n int)
	// Matrix is the same mapping as numbers to keep: Task×Model weights of the
	// answers and Task constants. LinearOf makes a mapping of them again.
	Matrix() (weights, constants []float32)
}

// Learner finds a mapping from the model's answers to a few labelled images of
// the task: n×model logits, n labels of 0 to task-1. The same answers always
// give the same mapping.
type Learner func(logits []float32, model int, labels []int32, task int) (Mapping, error)

// Learners are the values of prompt.mapping.kind that need answers.
var Learners = map[string]Learner{"learned": Frequent, "linear": LearnLinear}

// checkAnswers refuses what no mapping can be learned from.
func checkAnswers(logits []float32, model int, labels []int32, task int) error {
	if len(labels) == 0 || model < 1 || len(logits) != len(labels)*model {
		return fmt.Errorf("prompt: %d logits of %d images and %d classes", len(logits), len(labels), model)
	}
	for i, t := range labels {
		if t < 0 || int(t) >= task {
			return fmt.Errorf("prompt: label %d of %d", t, task)
		}
		for _, v := range logits[i*model : (i+1)*model] {
			if v != v || math.IsInf(float64(v), 0) {
				return fmt.Errorf("prompt: the model answers %v to image %d", v, i)
			}
		}
	}
	return nil
}

// OneToOne has a class of the model stand for each class of the task.
type OneToOne struct {
	To    []int // per class of the task: the model's class; no two alike
	model int
}

// tooFew refuses to find a class of the model for each of more classes.
func tooFew(task, model int) error {
	return uierr.New(fmt.Sprintf("prompt.mapping: the task has %d classes and the model %d", task, model),
		"keep fewer classes with data.classes, or use prompt.mapping.kind: linear")
}

// SomeNames refuses to pair classes of which the model knows some by name and
// not the missing ones.
func SomeNames(task, model, missing []string) error {
	return uierr.New(fmt.Sprintf("prompt.mapping: the model has no class %s; the task's classes are %s, the model's %s",
		strings.Join(missing, ", "), strings.Join(task, ", "), strings.Join(model, ", ")),
		"keep classes that both have with data.classes, or set prompt.mapping.kind: given, learned or linear")
}

// Identity maps each class to the one of the same number.
func Identity(task, model int) (*OneToOne, error) {
	if task > model {
		return nil, tooFew(task, model)
	}
	m := &OneToOne{model: model}
	for k := range task {
		m.To = append(m.To, k)
	}
	return m, nil
}

// Given maps task class t to the model's class to[t].
func Given(to []int, task, model int) (*OneToOne, error) {
	if len(to) != task {
		return nil, uierr.New(fmt.Sprintf("prompt.mapping.given: %d classes for a task of %d", len(to), task),
			"give the model's class of each task class, in the order of the task's classes")
	}
	for t, k := range to {
		if k < 0 || k >= model {
			return nil, uierr.New(fmt.Sprintf("prompt.mapping.given: class %d of task class %d, the model has 0 to %d", k, t,
				model-1), "give classes of the model")
		}
		if slices.Contains(to[:t], k) {
			return nil, uierr.New(fmt.Sprintf("prompt.mapping.given: class %d stands twice", k),
				"give each task class a class of its own")
		}
	}
	return &OneToOne{To: slices.Clone(to), model: model}, nil
}

// Frequent is a Learner of a OneToOne mapping: by greedy one-to-one choice of
// the pair (task class, model class) with the most images of the one that the
// model calls the other (frequent label mapping; Chen et al. 2023, arXiv
// 2211.11635). Equal counts are decided by the summed probability, then by the
// lower task and the lower model class.
func Frequent(logits []float32, model int, labels []int32, task int) (Mapping, error) {
	if task > model {
		return nil, tooFew(task, model)
	}
	if err := checkAnswers(logits, model, labels, task); err != nil {
		return nil, err
	}
	count, prob := make([]int, task*model), make([]float64, task*model)
	for i, t := range labels {
		z := logits[i*model : (i+1)*model]
		best := objective.Argmax(z)
		count[int(t)*model+best]++
		var sum float64
		for _, v := range z {
			sum += math.Exp(float64(v - z[best]))
		}
		for k, v := range z {
			prob[int(t)*model+k] += math.Exp(float64(v-z[best])) / sum
		}
	}
	m := &OneToOne{model: model, To: make([]int, task)}
	for t := range m.To {
		m.To[t] = -1
	}
	used := make([]bool, model)
	for range task {
		best := -1
		for t := range task {
			for k := range model {
				j := t*model + k
				if m.To[t] >= 0 || used[k] {
					continue
				}
				if best < 0 || count[j] > count[best] || (count[j] == count[best] && prob[j] > prob[best]) {
					best = j
				}
			}
		}
		m.To[best/model], used[best%model] = best%model, true
	}
	return m, nil
}

// Model is the number of the model's classes.
func (m *OneToOne) Model() int { return m.model }

// Task is the number of the task's classes.
func (m *OneToOne) Task() int { return len(m.To) }

// Matrix has a 1 for each pair of classes.
func (m *OneToOne) Matrix() (weights, constants []float32) {
	weights = make([]float32, len(m.To)*m.model)
	for t, k := range m.To {
		weights[t*m.model+k] = 1
	}
	return weights, make([]float32, len(m.To))
}

// Apply writes the n×Task mapped logits: those of the model's classes that
// stand for the task's.
func (m *OneToOne) Apply(dst, logits []float32, n int) {
	for i := range n {
		for t, k := range m.To {
			dst[i*len(m.To)+t] = logits[i*m.model+k]
		}
	}
}
