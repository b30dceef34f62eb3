package cuda

import (
	"fmt"

	"github.com/flops-vit/flops/internal/vit"
)

// Function is an activation function as the kernels number it (function_f in
// kernels/mathf.h).
type Function int

// The activation functions, in the kernels' numbers.
const (
	Identity Function = iota
	GELU
	TanhGELU
	QuickGELU
	SiLU
	ReLU
	Tanh
)

// function is the kernels' number of an activation function of the graphs.
func function(a vit.Act) Function {
	f, ok := map[vit.Act]Function{vit.NoAct: Identity, vit.GELU: GELU, vit.TanhGELU: TanhGELU, vit.QuickGELU: QuickGELU,
		vit.SiLU: SiLU, vit.ReLU: ReLU, vit.Tanh: Tanh}[a]
	if !ok {
		panic(fmt.Sprintf("cuda: no kernel of the activation function %q", a)) // the tests run every one there is
	}
	return f
}
