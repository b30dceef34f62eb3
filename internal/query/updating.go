package query

// Updating is a Model that can keep the gradients where it makes them, and take an
// optimizer's steps there, so that neither they nor the weights travel in a step.
// While it holds them Param.Grad is not written, and Param.Data is old from an Update to
// the next Fetch: nobody may call Touch of a parameter that was not fetched.
type Updating interface {
	Model
	// Hold begins to keep them, with so many tensors for each trained parameter as
	// steps of a kind keep; false where the device does not take such steps.
	Hold(kind string, kept int) bool
	// Release ends it: Param.Data is what it should be, and the next gradients go to
	// Param.Grad.
	Release() error
	// Forget drops the gradients, before those of a step.
	Forget()
	// Squares are Σ g² of the gradients of parameters.
	Squares(params []int) ([]float64, error)
	// Update takes the steps with the gradients times scale. sound is false where one
	// made a value that is no finite number.
	Update(rules []Rule, scale float32) (sound bool, err error)
	// Fetch writes Param.Data, and what Rule.Kept named, where the device's are newer.
	Fetch() error
}

// The kinds of rules, g being a gradient, m and v what is kept, w a weight and the rest
// their Numbers, in the order in which they are named. Each operation rounds to float32.
const (
	// RuleAdamW: m ← b1·m + c1·g, v ← b2·v + c2·g·g, w ← keep·w − rate·m/(√v·fix + eps).
	RuleAdamW = "adamw"
	// RuleSGD: v ← mu·v + g, w ← keep·w − rate·v.
	RuleSGD = "sgd"
	// RuleLookAhead: n ← mu·m − rate·g, w ← keep·w − mu·m + next·n, m ← n.
	RuleLookAhead = "spsa_gc"
	// RuleMuon: m ← mu·m + c·g, u ← mu·m + c·g where look is not 0, else m, made
	// orthogonal by rounds of x ← a·x + (b·G + c·G²)·x with G = x·xᵀ of the shorter
	// side, a tensor of one row or column divided by its norm; w ← keep·w − rate·u. The
	// numbers are mu, c, look, keep, rate, and a, b, c of the rounds.
	RuleMuon = "muon"
)

// Rule is an optimizer's step of one parameter.
type Rule struct {
	Param   int    // its number in Model.Params
	Kind    string // one of the Rule constants
	Numbers []float32
	// Kept are the tensors that the optimizer keeps of it, of the parameter's size. A
	// device takes them over when they are others than those of the step before.
	Kept       [][]float32
	Rows, Cols int // of muon, the tensor as a matrix
	Rounds     int // of muon
}

// Matrix is a tensor's size as a linear map, which RuleMuon takes it for: its outputs,
// which come first once axes of length 1 are passed over, and all the rest.
func Matrix(shape []int) (rows, cols int) {
	rows, cols = 1, 1
	for _, n := range shape {
		if rows == 1 {
			rows = n
		} else {
			cols *= n
		}
	}
	return rows, cols
}
