package parts

import (
	"github.com/flops-vit/flops/internal/settings"
	"github.com/flops-vit/flops/internal/uierr"
)

// Shared is whether noise is added to parameters themselves.
var Shared = settings.New("shared", true,
	"estimator activation: noise on the parameters themselves, of every image its own and shared by its rows; "+
		"false: at every row of a bias's map, and on norms and tokens by directions that images share")

func init() { Register("bias", biases).Takes(Shared).Is(Maps) }

// biases are those of the chosen maps (BitFit: Ben-Zaken, Ravfogel and Goldberg, ACL
// 2022, arXiv 2106.10199). That of the keys is none of them where it moves all scores of
// a query alike, to which the softmax is blind.
func biases(n Network) (Chosen, error) {
	c, blind := Chosen{Shared: Shared.Of(n.Own)}, false
	for _, i := range n.maps() {
		blind = blind || n.Sites[i].Bias >= 0
		if s := n.Sites[i]; s.Bias >= 0 && (n.Blind == nil || !n.Blind(i)) {
			c.Groups = append(c.Groups, []int{s.Bias})
		}
	}
	if len(c.Groups) == 0 && blind {
		return c, uierr.New("sites.train: bias: the loss does not depend on the biases of key, and no other map is chosen",
			"name other maps in sites.kinds, such as [query, value]")
	}
	if len(c.Groups) == 0 {
		return c, uierr.New("sites.train: bias: the maps that are chosen have no bias",
			"name more in sites.blocks and sites.kinds, or set sites.train: norm")
	}
	return c, nil
}
