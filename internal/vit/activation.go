package vit

import "github.com/flops-vit/flops/internal/kernel"

// Act is an activation function between two linear maps.
type Act string

// The activation functions there are. Their names are those of config.json, of
// which some have several (ActNamed).
const (
	NoAct     Act = ""
	GELU      Act = "gelu"       // x·Φ(x), exactly (Hendrycks and Gimpel 2016, arXiv 1606.08415)
	TanhGELU  Act = "gelu_tanh"  // its approximation by tanh, from the same paper
	QuickGELU Act = "quick_gelu" // its approximation x·σ(1.702x)
	SiLU      Act = "silu"       // x·σ(x)
	ReLU      Act = "relu"       // max(x, 0)
	Tanh      Act = "tanh"       // of a pooler
)

// function is an activation function and its derivative times dy, elementwise
// over slices of one length; both may work in place.
type function struct {
	apply func(dst, x []float32)
	grad  func(dst, x, dy []float32)
}

var functions = map[Act]function{
	NoAct:     {func([]float32, []float32) {}, nil},
	GELU:      {kernel.GELU, kernel.GELUGrad},
	TanhGELU:  {kernel.TanhGELU.Apply, kernel.TanhGELU.Grad},
	QuickGELU: {kernel.QuickGELU.Apply, kernel.QuickGELU.Grad},
	SiLU:      {kernel.SiLU.Apply, kernel.SiLU.Grad},
	ReLU:      {kernel.ReLU, kernel.ReLUGrad},
	Tanh:      {kernel.Tanh, kernel.TanhGrad},
}

// actNames are the names of Hugging Face's configs.
var actNames = map[string]Act{"gelu": GELU, "gelu_python": GELU, "gelu_new": TanhGELU, "gelu_pytorch_tanh": TanhGELU,
	"gelu_fast":  TanhGELU,
	"quick_gelu": QuickGELU, "silu": SiLU, "swish": SiLU, "relu": ReLU}

// ActNamed is the activation function that Hugging Face's configs call name.
func ActNamed(name string) (Act, bool) {
	f, ok := actNames[name]
	return f, ok
}

// apply writes f(x) to dst, which may be x where f is a function.
func (f Act) apply(dst, x []float32) { functions[f].apply(dst, x) }

// grad writes f'(x)·dy to dst.
func (f Act) grad(dst, x, dy []float32) { functions[f].grad(dst, x, dy) }
