package lr

import (
	"errors"
	"fmt"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/uierr"
)

// hints are what to do about sites and parameters that a surrogate refuses.
var hints = map[error]string{
	forward.ErrUnlayered: "take a network of our own, or set estimator.surrogate: linear and name maps in sites.kinds",
	forward.ErrUngraded: "set objective.kind: cross_entropy, or estimator.surrogate: linear with maps in sites.kinds, " +
		"such as [query, mlp_in]",
	forward.ErrNoLayer: "set sites.kinds: [residual] and name blocks in sites.blocks, or set estimator.surrogate: linear",
	forward.ErrGap:     "name blocks that follow one another in sites.blocks, such as all or last-3",
	forward.ErrOutside: "set sites.blocks: all, or leave it out by sites.patch_embed: false and in sites.params",
	forward.ErrUnreached: "set sites.patch_embed: false and sites.params: [], or estimator.feedback_derivative: block; " +
		"of single parts (sites.train) it reaches biases and adapters",
	forward.ErrNoneLearns: "adapt attn_out or mlp_out by sites.targets (with none: mlp_out), " +
		"or set estimator.feedback_derivative: block",
	forward.ErrNoParams: "set sites.train: bias, norm or prompt, with sites.shared: true and blocks that have such, " +
		"or estimator.surrogate: linear",
	forward.ErrMap: "set sites.train: bias, norm or prompt, with sites.shared: true and without " +
		"sites.kinds: [residual], or estimator.surrogate: linear",
}

// refusal says which surrogate an option is refused for, with what to do.
func refusal(name string, err error) error {
	var wrong *forward.OptionError
	if !errors.As(err, &wrong) {
		return err
	}
	hint := hints[wrong.Reason]
	if hint == "" {
		hint = "set estimator.surrogate: none"
	}
	return uierr.New(fmt.Sprintf("estimator.surrogate: %s: %s: %s", name, wrong.Is, wrong.Want), hint)
}
