package cuda

import "github.com/flops-vit/flops/internal/query"

// ruleStep is an optimizer's step of one parameter on the device: n weights, their copy
// in bf16 (0: none), the gradient and what is kept.
type ruleStep struct {
	w, half, grad, bad Ptr
	kept               []Ptr
	numbers            []float32
	scale              float32 // of the gradient
	n                  int64
	work               Ptr // of muonWork bytes
	rule               query.Rule
}

// ruleSteps takes the steps of each kind of rule.
var ruleSteps = map[string]func(d *Device, s *ruleStep) error{
	query.RuleAdamW:     (*Device).adamwStep,
	query.RuleSGD:       (*Device).sgdStep,
	query.RuleLookAhead: (*Device).lookAheadStep,
	query.RuleMuon:      (*Device).muonStep,
}

// floats are numbers as a kernel's arguments.
func floatArgs(v ...float32) (out []Arg) {
	for _, x := range v {
		out = append(out, F(x))
	}
	return out
}

// rule launches a step's kernel: its addresses, its numbers, the gradient's scale.
func (s *ruleStep) launch(d *Device, kernel string, numbers []float32, more ...Ptr) error {
	a := []Arg{P(s.w), P(s.half), P(s.grad)}
	for _, p := range more {
		a = append(a, P(p))
	}
	a = append(append(a, P(s.bad)), floatArgs(numbers...)...)
	return d.over(kernel, s.n, 1, append(a, F(s.scale), L(s.n))...)
}

func (d *Device) adamwStep(s *ruleStep) error {
	return s.launch(d, "adamw_step", s.numbers, s.kept[0], s.kept[1])
}

func (d *Device) sgdStep(s *ruleStep) error { return s.launch(d, "sgd_step", s.numbers, s.kept[0]) }

func (d *Device) lookAheadStep(s *ruleStep) error {
	return s.launch(d, "look_ahead_step", s.numbers, s.kept[0])
}

// squareBlock is how many squares one block sums (SQUARES in kernels/optimizer.cu).
const squareBlock = 1 << 16

// SquareSums writes Σ x² of every squareBlock of n values, in float64.
func (d *Device) SquareSums(out, x Ptr, n int64) error {
	return d.Launch("square_sums", Dim{blocks(n, squareBlock), 1, 1}, Dim{256, 1, 1}, 0, Compute,
		[]Arg{P(out), P(x), L(n)})
}

// muonWork is the workspace of a matrix's step: x and the next x, the Gram matrix and
// the polynomial of it, and sums of squares.
func muonWork(rows, cols int) int64 {
	n, m := int64(rows)*int64(cols), int64(min(rows, cols))
	return 2*align(4*n) + 2*align(4*m*m) + align(8*int64(squaresOf(int(n))))
}

// muonStep is that of package optim, whose products run in the run's precision.
func (d *Device) muonStep(s *ruleStep) error {
	r, v := &s.rule, s.numbers
	x, n := s.work, s.n
	if err := d.over("muon_average", n, 1, P(x), P(s.grad), P(s.kept[0]), F(v[0]), F(v[1]), I(int(v[2])), F(s.scale),
		L(n)); err != nil {
		return err
	}
	m := min(r.Rows, r.Cols)
	y := x + Ptr(align(4*n))
	g := y + Ptr(align(4*n))
	mix := g + Ptr(align(4*int64(m)*int64(m)))
	squares := mix + Ptr(align(4*int64(m)*int64(m)))
	err := d.SquareSums(squares, x, n)
	if err == nil {
		err = d.over("unit", n, 1, P(x), P(squares), I(squaresOf(int(n))), L(n))
	}
	for i := 0; i < r.Rounds && m > 1 && err == nil; i++ {
		err = d.muonRound(r.Rows, r.Cols, x, y, g, mix, v[5], v[6], v[7])
		x, y = y, x
	}
	if err != nil {
		return err
	}
	return d.over("muon_step", n, 1, P(s.w), P(s.half), P(x), P(s.bad), F(v[3]), F(v[4]), L(n))
}

// muonRound writes y = a·x + (b·G + c·G²)·x with G = x·xᵀ, or with G = xᵀ·x on the other
// side of a tall x.
func (d *Device) muonRound(rows, cols int, x, y, g, mix Ptr, a, b, c float32) error {
	m, n := int64(min(rows, cols)), int64(rows)*int64(cols)
	wide, side := Operand{Ptr: x, Ld: cols}, func(p Ptr) Operand { return Operand{Ptr: p, Ld: int(m)} }
	gram := Gemm{Form: NT, M: int(m), N: int(m), K: cols, Alpha: 1, A: wide, B: wide, C: side(g)}
	last := Gemm{Form: NN, M: rows, N: cols, K: int(m), Alpha: 1, Accumulate: true, A: side(mix), B: wide,
		C: Operand{Ptr: y, Ld: cols}}
	if rows > cols {
		gram.Form, gram.K = TN, rows
		last.A, last.B = wide, side(mix)
	}
	err := d.Gemm(gram)
	if err == nil {
		err = d.over("times", m*m, 1, P(mix), P(g), F(b), L(m*m))
	}
	if err == nil {
		err = d.Gemm(Gemm{Form: NN, M: int(m), N: int(m), K: int(m), Alpha: c, Accumulate: true, A: side(g), B: side(g),
			C: side(mix)})
	}
	if err == nil {
		err = d.over("times", n, 1, P(y), P(x), F(a), L(n))
	}
	if err == nil {
		err = d.Gemm(last)
	}
	return err
}
