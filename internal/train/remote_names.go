package train

import (
	"fmt"
	"slices"
	"strings"

	"github.com/flops-vit/flops/internal/oip"
	"github.com/flops-vit/flops/internal/prompt"
)

// sameNames maps each class of the task to the model's class of that name. Where
// the model names none of them, its first classes stand for the task's, and a
// line says so; where it names some and not others, the pair is refused.
func (x *Experiment) sameNames(s oip.Spec) (prompt.Mapping, error) {
	task := x.TrainData.Classes()
	to, missing := make([]int, len(task)), []string(nil)
	for t, name := range task {
		if to[t] = slices.Index(s.Labels, name); to[t] < 0 {
			missing = append(missing, name)
		}
	}
	switch {
	case len(s.Labels) > 0 && len(missing) == 0:
		return prompt.Given(to, len(task), s.Classes)
	case len(missing) < len(task):
		return nil, prompt.SomeNames(task, s.Labels, missing)
	case len(s.Labels) > 0 && x.Warn != nil:
		n := min(len(task), len(s.Labels))
		x.Warn(fmt.Sprintf("model %s knows none of the classes by name: its %s stand for %s (prompt.mapping says otherwise)",
			s.Name, strings.Join(s.Labels[:n], ", "), strings.Join(task[:n], ", ")))
	}
	return prompt.Identity(len(task), s.Classes)
}
