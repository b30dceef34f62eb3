package train

import (
	"strings"
	"testing"

	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/internal/uierr"
)

// sighted is a model whose precision sees noise of weights from 0.001 on.
type sighted struct{ query.Model }

func (sighted) LeastSigma() float64 { return 1e-3 }

// TestSigmaBelowThePrecision: noise of weights that rounding drowns is refused with the
// number, that of sites never is.
func TestSigmaBelowThePrecision(t *testing.T) {
	for _, c := range []struct {
		estimator string
		sigma     float64
		refused   bool
	}{{"weight", 1e-3, false}, {"weight", 5e-4, true}, {"activation", 5e-4, false}} {
		o := tiny()
		o.Estimator.Name, o.Estimator.Sigma = c.estimator, c.sigma
		x, err := Open(o, nil)
		if err != nil {
			t.Fatal(err)
		}
		x.Model = sighted{x.Model}
		err = x.checkSigma()
		if u, ok := uierr.As(err); (err != nil) != c.refused || err != nil && (!ok || !strings.Contains(u.What, "0.001")) {
			t.Errorf("%s at sigma %g: %v", c.estimator, c.sigma, err)
		}
		x.Close()
	}
}
