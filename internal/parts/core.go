package parts

import "github.com/flops-vit/flops/internal/settings"

// CoreImages is how many images say in which directions cores lie.
var CoreImages = settings.New("core_images", 128,
	"images of the training split, drawn by train.seed, whose activations say in which directions cores lie",
	settings.From(1, 1<<16))

func init() { Register("core", cores).Takes(Rank, Targets, CoreImages).Is(Adapts, Principal) }

// cores are the weights beside which rank by rank numbers between fixed directions of a
// map's outputs and inputs are learned.
func cores(n Network) (Chosen, error) { return n.adapted("core") }
