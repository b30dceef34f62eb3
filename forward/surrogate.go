package forward

import "context"

// Surrogate predicts the gradient at sites before their queries are asked, so that
// these have to tell only what it does not know. What it predicts need not be right:
// with ĝ_is of image i at site s the estimate is
//
//	r_ip = c_ip − ⟨ε_ip, ĝ_is⟩
//	Ĝ_s  = (1/B) Σ_i [ĝ_is + (1/(π_i P_i)) Σ_p r_ip ε_ip]ᵀ x_is
//
// whose mean is the gradient for every ĝ that does not depend on the step's own noise,
// every chance π_i > 0 of an image to be drawn and every number P_i of its directions,
// because E[⟨ε, ĝ⟩ ε] = ĝ. The variance becomes proportional to ‖g − ĝ‖². As a control
// variate for black boxes: Grathwohl and others, RELAX, ICLR 2018, arXiv 1711.00123.
//
// A surrogate is pure of what it was told: Guess changes nothing, and all that Learn
// changes follows from the records of the steps before.
type Surrogate interface {
	// Name is its name in a config.
	Name() string
	// Predicts says whether a site is one of those that are predicted at.
	Predicts(site int) bool
	// Guess is what is predicted at a site of a step; nil where nothing ever is.
	Guess(s *Step, site int) (*Guess, error)
	// Learn is told the guesses of a step, with what its queries left of them.
	Learn(s *Step, guesses []*Guess) error
	// Residuals is the running Σ r²/Σ c² at each site, of those that are predicted at.
	Residuals() map[int]Residual
	// State and Restore carry what was learned through a checkpoint, exactly.
	State() map[string][]float32
	Restore(map[string][]float32) error
}

// Residual is how much of what queries say a surrogate did not know.
type Residual struct {
	Share float64 // running Σ r²/Σ c²: 0 where all was known, 1 where nothing was
	Used  bool    // what is predicted goes into the gradient
}

// Anchor is where the gradient at a site's outputs comes from: that of image i is
// g_i = D_iᵀ u_i, with u_i the derivative of its loss by the Width numbers of the
// anchor, and D_i what the network computes between the two at the clean pass's
// activations: of a map before an activation function the function's own derivative,
// of query, key and value that of the softmax and its sum, and nothing at a map whose
// output is the anchor itself.
type Anchor struct {
	Name  string // alike for sites that share one
	Width int
	// Dim is how many directions of the anchor the noise that teaches reaches; 0: all Width.
	Dim int
	// Teaches says that the anchor is linear in the site's outputs, so that noise
	// there says something about u.
	Teaches bool
}

// Anchored is a Model whose passes are Guided.
type Anchored interface {
	Model
	// Anchor is that of a site, or false where it has none: where more rows than one
	// reach the loss by themselves.
	Anchor(site int) (Anchor, bool)
}

// Guided is a Pass that adds a gradient of which a part is predicted.
type Guided interface {
	Pass
	// AccumulateGuided adds the estimate above at the one site of p, and fills what the
	// queries left.
	AccumulateGuided(ctx context.Context, p *Perturbation, g *Guess) error
}

// Guess is what is known of a site's gradient before its queries and, once a pass has
// accumulated it, what they left to learn.
type Guess struct {
	Site int
	Used bool // what is predicted goes into the gradient; else it is only compared
	// Withheld is the share of what the queries say besides that is kept out of it: 0
	// for an estimate without a bias, more for one of less variance.
	Withheld float32
	At       []float32 // u_i, Size×Width

	// What the estimator adds.
	Queries []Query   // one of each direction, image by image
	Coefs   []float32 // c of each
	Weights []float32 // 1/(B·π_i·P_i) of each image, 0 of one that was not asked
	Changes []float32 // where outputs were asked for: y of each direction, as many numbers as outputs; else nil

	// What the pass fills.
	Left   []float32 // r of each direction
	Spread []float32 // Width: the mean over the images of the variance of D_i ε, of noise in all directions
	// What teaches: Size×Width, Σ_p r_ip D_i ε_ip; of Changes instead D_i ε of each
	// direction, Width numbers each.
	Pushed, Carried []float32
}
