package parts

import (
	"fmt"

	"github.com/flops-vit/flops/internal/settings"
	"github.com/flops-vit/flops/internal/uierr"
)

// Settings of adapters.
var (
	Rank    = settings.New("rank", 8, "rank of each adapter", settings.From(1, 1<<16))
	Alpha   = settings.New("alpha", 16.0, "adapters count alpha/rank times", settings.Above(0, 1e6))
	Targets = settings.New("targets", []string{"query", "value"}, "maps of the chosen blocks beside which adapters are",
		settings.Among("query", "key", "value", "attn_out", "mlp_in", "mlp_out"))
)

func init() { Register("lora", loras).Takes(Rank, Alpha, Targets).Is(Adapts) }

// loras are the weights that adapters are learned beside (LoRA: Hu and others, ICLR
// 2022, arXiv 2106.09685).
func loras(n Network) (Chosen, error) { return n.adapted("lora") }

// adapted are those of the maps that are named as targets.
func (n Network) adapted(part string) (Chosen, error) {
	var c Chosen
	rank, of := Rank.Of(n.Own), n
	of.Kinds, of.Patch = Targets.Of(n.Own), false
	for _, i := range of.maps() {
		s := of.Sites[i]
		if rank > min(s.In, s.Out) {
			return c, uierr.New(fmt.Sprintf("sites.rank: %d is more than the %d of %s, whose weight is %d by %d", rank,
				min(s.In, s.Out), s.Name, s.Out, s.In), fmt.Sprintf("give at most %d", min(s.In, s.Out)))
		}
		c.Groups = append(c.Groups, []int{s.Weight})
	}
	return n.inBlocks(part, c, "no map is chosen", "name blocks in sites.blocks and maps in sites.targets")
}
