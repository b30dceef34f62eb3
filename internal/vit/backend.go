package vit

import (
	"context"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/objective"
)

// Backend computes a network's graphs on one kind of device. A device is one
// package that implements it; what a clean pass, a query and a gradient are
// stands once, in Model, which calls a backend from one goroutine.
//
// On its device a backend keeps
//
//   - the parameters, and originals of those that are perturbed;
//   - the images shown to it, which forwards begin with;
//   - the store: activations of these images that a forward left behind, which
//     suffixes and forwards from a boundary begin with;
//   - one list of queries, and their answers until End;
//   - sums of gradients, until Collect.
//
// It cuts a list into micro-batches as it likes, so long as every number stays
// the same for any number of workers. Its graphs are Net.Program's, its noise that
// of the counters (noise.Counter) that Perturb of Spec, SumSite and SumWeights name.
type Backend interface {
	// Device says in words where the backend computes.
	Device() string
	// Lay makes room for what a layout names, beside what was named before. It
	// returns how many images are shown at once: all of a layout's with a pass, and
	// otherwise as many as the device likes. moved says that the store is empty
	// now. A layout that does not fit is refused before anything is computed.
	Lay(Layout) (images int, moved bool, err error)
	// Changed says that the host wrote these parameters.
	Changed(params []int)
	// Show makes n images of a batch from lo on those that forwards begin with.
	Show(b *forward.Batch, lo, n int)
	// Give hands over an activation of images, one slice an image, that forwards
	// with Forward.Given begin with. keep: the store has to hold it too.
	Give(a Activation, images [][]float32, keep bool) error
	// Read copies an image's activation out of the store.
	Read(a Activation, image int, out []float32) error
	// Room is the most queries of a list, or of one whose outputs are wanted.
	Room(outputs bool) int
	// Begin tells the device of a list, which ends the one before.
	Begin(*List) error
	// Run evaluates the queries lo to hi−1 of the list by a graph, and does with the
	// results what the graph's Forward says.
	Run(ctx context.Context, f *Forward, lo, hi int) error
	// End fills what the list wants of the queries that ran.
	End() error
	// Stored is a stored activation of the first images: the store's own memory where
	// the host has that, else a copy in buf, which is made longer where it must be.
	Stored(a Activation, images int, buf []float32) ([]float32, error)
	// Norms writes Σ x² of a stored activation, and its rows, for each image.
	Norms(a Activation, out []float32) error

	// Save keeps the originals of parameters, Perturb writes original + Coef·z of
	// the direction that the list's query at names, and Restore writes the
	// originals back, bit for bit.
	Save(params []int) error
	Perturb(ctx context.Context, params []int, at int) error
	Restore(params []int) error

	// SumSite adds Σ_i E_iᵀ x_i, with E_i = Σ C·ε of the terms of image i and x its
	// stored activation, to the sums of a site's parameters. Terms of one image
	// stand together.
	SumSite(ctx context.Context, site int, x Activation, step uint32, terms []forward.Term) error
	// SumRows is SumSite of an E that the host made, Rows×Out of each image from lo on.
	// It adds in the order of the gradients that a Forward makes by its Params.
	SumRows(ctx context.Context, site int, x Activation, lo int, e []float32) error
	// SumWeights adds Σ C·z to the sums of parameters.
	SumWeights(ctx context.Context, params []int, step uint32, terms []forward.Term) error
	// Collect adds the sums of these parameters to their gradients, and forgets
	// every sum. A backend may as well sum in the gradients.
	Collect(params []int) error
	// Close gives the device's memory back.
	Close() error
}

// Layout is what a model is going to ask of a backend.
type Layout struct {
	Images   int          // of a batch
	Pass     bool         // they are shown at once, and Keep is left of them
	Sites    []int        // whose queries and gradients are asked
	Inputs   []Activation // what the gradients of Sites pair noise with
	Keep     []Activation // of the store
	Forward  Forward      // that leaves Keep
	Gradient bool         // gradients by every trained parameter are asked
	Weights  []int        // parameters that may be perturbed
}

// Forward says which of a network's graphs is meant, and what becomes of its
// results beside what the list wants. The zero value is the whole forward.
type Forward struct {
	Sites []int // noisy: the graph is what follows them, read from the store
	From  int   // boundary of the network that a forward begins at, 0: at the images
	Given bool  // what From names was handed over (Backend.Give), and is not that of the store
	Only  bool  // what Keep names is computed, and nothing after it
	To    int   // boundary that a forward ends at, 0: the losses; List.Ends then weighs every value there
	Split bool  // the value before every activation function stands apart
	Full  bool  // rows that nothing reads are computed too

	Alone    bool         // no query is compared with what is computed
	Features bool         // the pooled embedding is wanted
	Keep     []string     // activations that go to the store, at their image
	Inputs   []Activation // per site: Coef·sign·εᵀx of every query goes to the sums, with the x that it saw
	Params   []int        // the gradient by these, of losses weighted by Coef, goes to the sums
	Pooled   bool         // with To: of the last block only the rows that the outputs are made of
	Drawn    int          // with To and Pooled: so many rows beside these, which the list names; Rest weighs them
	Below    bool         // with To: the gradient by what the forward begins with is wanted
	Straight bool         // with To: no derivative goes through the branches of a block, past the maps that end them
}

// List is queries that a backend is told of at once. A query of sign 0 carries no
// noise. What is to be filled is nil where it is not wanted.
type List struct {
	Step    uint32
	Sites   []int            // that are noisy
	Sigma   []float32        // of each of Sites
	Queries []forward.Query  // images are counted among those shown
	Targets []int32          // per query: what the objective is told of it; nil where no losses are wanted
	Coef    []float32        // per query, or per site and query: see Forward and Backend.Perturb; nil: none
	Starts  [][]float32      // per query: what its forward begins with; nil: what Forward says
	Ends    []float32        // per query: weighs every value that its forward ends at; nil where that is the losses
	Loss    *objective.Bound // nil where no losses are wanted

	Losses, Logits, Features []float32 // per query
	Below                    []float32 // per query: the gradient by what its forward began with
	Rows                     []int32   // per query: Forward.Drawn rows
	Rest                     []float32 // per query: weighs every value of these
}
