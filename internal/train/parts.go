package train

import (
	"fmt"
	"maps"
	"slices"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/lora"
	"github.com/flops-vit/flops/internal/lr"
	"github.com/flops-vit/flops/internal/network"
	"github.com/flops-vit/flops/internal/parts"
	"github.com/flops-vit/flops/internal/query"
	"github.com/flops-vit/flops/internal/uierr"
	"github.com/flops-vit/flops/internal/vit"
)

// choose are the parameters that sites.train names of a network.
func choose(c config.Sites, params []*forward.Param, sites []forward.Site, blind func(int) bool) (parts.Chosen, error) {
	blocks, err := blocksOf(c, sites)
	if err != nil {
		return parts.Chosen{}, err
	}
	return parts.Choose(c.Train, parts.Network{Params: params, Sites: sites, Blocks: blocks, Kinds: c.Kinds,
		Patch: c.PatchEmbed, Own: c.Own, Blind: blind})
}

// openParts makes sites of the parameters that noise is added to themselves, before the
// network is put on a device, and refuses a device that adds none.
func (x *Experiment) openParts(n *vit.Net) (bool, error) {
	c := x.Config
	chosen, err := choose(c.Sites, n.Params(), n.Sites(), n.Blind)
	if err != nil || !chosen.Shared || !lr.Is(c.Estimator.Name, lr.AtSites) || slices.Contains(c.Sites.Kinds, "residual") {
		return false, err
	}
	_, err = n.Direct(chosen.Groups)
	return err == nil, err
}

// direct refuses a device that adds no noise to parameters themselves.
func (x *Experiment) direct() error {
	if m, ok := forward.As[interface{ Direct() bool }](x.Model); ok && m.Direct() {
		return nil
	}
	return uierr.New("sites.train: "+x.Config.Sites.Train+": noise on the parameters themselves is made by the CPU alone",
		"set train.device: cpu, sites.shared: false, or estimator.name: bp")
}

// selectPart reads a config's sites where sites.train names a part of them.
func selectPart(c config.Sites, m query.Model, blocks map[int]bool) (Selection, error) {
	var blind func(int) bool
	if b, ok := forward.As[interface{ Blind(site int) bool }](m); ok {
		blind = b.Blind
	}
	chosen, err := choose(c, m.Params(), m.Sites(), blind)
	if err != nil {
		return Selection{}, err
	}
	var sel Selection
	params := slices.Concat(chosen.Groups...)
	of := sitesOf(m.Sites(), params, blocks, slices.Contains(c.Kinds, "residual"))
	sel.Sites = append(sel.Sites, of...)
	for i, s := range m.Sites() {
		if c.Classifier && (s.Kind == "classifier" || s.Kind == "classifier_dist") {
			sel.Sites, sel.Linear = append(sel.Sites, i), append(sel.Linear, s.Params()...)
		}
	}
	for _, p := range params {
		switch {
		case parts.Is(c.Train, parts.Adapts):
			sel.Linear, sel.Adapted = append(sel.Linear, p), append(sel.Adapted, p)
		case len(of) > 0 || m.Params()[p].Role == "linear":
			sel.Linear = append(sel.Linear, p)
		default:
			sel.Direct = append(sel.Direct, p)
		}
	}
	return sel, nil
}

// sitesOf are the sites whose noise says something of parameters: the outputs of their
// blocks, the parameters themselves, those first of which more comes after, or the maps
// that they are of.
func sitesOf(sites []forward.Site, params []int, blocks map[int]bool, residual bool) (out []int) {
	itself := func(s forward.Site) bool { return len(s.Direct) > 0 }
	direct := slices.ContainsFunc(sites, itself)
	for i, s := range sites {
		var in bool
		switch {
		case residual:
			in = s.Kind == "residual" && blocks[s.Block]
		case direct:
			in = itself(s)
		default:
			in = s.Weight >= 0 && (slices.Contains(params, s.Weight) || s.Bias >= 0 && slices.Contains(params, s.Bias))
		}
		if in {
			out = append(out, i)
		}
	}
	if direct && !residual {
		slices.SortStableFunc(out, func(a, b int) int { return int(sites[b].FLOPs - sites[a].FLOPs) })
	}
	return out
}

// openFolder opens the model of the config's folder, with its adapter where there is one.
func (x *Experiment) openFolder() (err error) {
	c, labels, seed := x.Config, x.TrainData.Classes(), uint64(x.Config.Train.Seed)
	if c.Model.Adapter != "" {
		apart := parts.Is(c.Sites.Train, parts.Adapts) && !parts.Is(c.Sites.Train, parts.Principal)
		x.Local, x.begun, err = network.LoadAdapted(c.Model.Path, c.Model.Adapter, apart, labels, x.prompts(), seed)
	} else {
		x.Local, err = network.LoadLocal(c.Model.Path, labels, x.prompts(), seed)
	}
	if err == nil && c.Model.Head == "new" {
		x.Local.DrawHead(seed)
	}
	return err
}

// thin has the gradients of adapters made without those of their weights, where all are
// derivatives: noise at the outputs of maps makes those of weights.
func (x *Experiment) thin() {
	c := x.Config
	m, ok := forward.As[interface {
		Thin(param int, t vit.Thin) bool
	}](x.Model)
	derived := lr.Is(c.Estimator.Name, lr.Silent) ||
		lr.Is(c.Estimator.Name, lr.AtSites) && slices.Contains(c.Sites.Kinds, "residual")
	x.adapters.Thin(func(w *forward.Param, t *lora.Thin) bool {
		return ok && derived && t.Saves() && m.Thin(slices.Index(x.Model.Params(), w), t)
	})
}

// openAdapters begins the adapters of the chosen weights.
func (x *Experiment) openAdapters() error {
	if len(x.Selection.Adapted) == 0 {
		return nil
	}
	var weights []*forward.Param
	for _, i := range x.Selection.Adapted {
		weights = append(weights, x.Model.Params()[i])
	}
	own := x.Config.Sites.Own
	rank, alpha := parts.Rank.Of(own), parts.Alpha.Of(own)
	if parts.Is(x.Config.Sites.Train, parts.Principal) {
		if err := x.principal(); err != nil {
			return err
		}
		x.adapters = lora.NewCores(weights, rank, x.cores.of(x.Selection.Adapted))
	} else {
		x.adapters = lora.New(weights, lora.Options{Rank: rank, Alpha: alpha, Seed: uint64(x.Config.Train.Seed)})
	}
	x.thin()
	x.Trained = append(x.Trained, x.adapters.Params()...)
	if x.begun == nil {
		return nil
	}
	if scale := float64(alpha) / float64(rank); x.begun.Rank != rank || x.begun.Scale != scale {
		return uierr.New(fmt.Sprintf("model.adapter: %s has rank %d and counts %g times, "+
			"sites.rank and sites.alpha say %d and %g", x.begun.Dir, x.begun.Rank, x.begun.Scale, rank, scale),
			fmt.Sprintf("set sites.rank: %d and sites.alpha: %g", x.begun.Rank, x.begun.Scale*float64(x.begun.Rank)))
	}
	for _, name := range slices.Sorted(maps.Keys(x.begun.Factors)) {
		if f := x.begun.Factors[name]; !x.adapters.Begin(name, f.A, f.B) {
			return uierr.New(fmt.Sprintf("model.adapter: %s has an adapter of %s, which sites does not choose",
				x.begun.Dir, name),
				"name its blocks in sites.blocks and its map in sites.targets")
		}
	}
	x.adapters.Merge()
	if m, ok := forward.As[interface{ Reload() }](x.Model); ok {
		m.Reload()
	}
	return nil
}
