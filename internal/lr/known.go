package lr

import (
	"slices"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/query"
)

// Known parts sites by what is known of their gradient before a query is asked.
type Known struct {
	Exact     []int // all of it: they ask no query
	Predicted []int // what a surrogate predicts, which queries correct
	Follows   []int // nothing, since what they follow from is not trained
	Asked     []int // nothing
}

// Knows is what an estimator knows at sites of its model.
func Knows(e Asker, m query.Model, sites []int) Known {
	var k Known
	noisy := map[int]bool{}
	plan := e.Plan(0)
	for _, p := range plan {
		for _, s := range p.Sites {
			noisy[s] = true
		}
	}
	clean, predicts := e.Sites(0), Predictor(e)
	anchored, _ := forward.As[forward.Anchored](m)
	for _, s := range sites {
		switch {
		case slices.Contains(clean, s) && !noisy[s]:
			k.Exact = append(k.Exact, s)
		case predicts != nil && predicts.Predicts(s):
			k.Predicted = append(k.Predicted, s)
		case predicts != nil && follows(anchored, s):
			k.Follows = append(k.Follows, s)
		default:
			k.Asked = append(k.Asked, s)
		}
	}
	return k
}

// follows says whether a site's gradient could be predicted if its anchor were learned
// at another site.
func follows(m forward.Anchored, site int) bool {
	if m == nil {
		return false
	}
	_, ok := m.Anchor(site)
	return ok
}
