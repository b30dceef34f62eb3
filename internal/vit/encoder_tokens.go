package vit

import "gorgonia.org/gorgonia"

// Positions says which tokens have a learned position.
type Positions int

// Which tokens have a learned position.
const (
	PositionsAll     Positions = iota // all but learned prompts
	PositionsLead                     // all but prompts and registers
	PositionsPatches                  // patches alone
	PositionsNone
)

// Lead is the number of tokens before prompts and patches.
func (e Encoder) Lead() int {
	n := e.Registers
	if !e.NoCls {
		n++
	}
	if e.Dist {
		n++
	}
	return n
}

// Tokens is the length T of the sequence: lead, prompts, patches.
func (e Encoder) Tokens() int { return e.Lead() + e.Prompts + e.Patches() }

// table is the rows of the positions and how many of them are those of lead tokens.
func (e Encoder) table() (rows, lead int) {
	switch e.Positions {
	case PositionsAll:
		lead = e.Lead()
	case PositionsLead:
		lead = e.Lead() - e.Registers
	case PositionsNone:
		return 0, 0
	}
	return lead + e.Patches(), lead
}

// PositionLead is how many rows of the position table belong to tokens before the
// patches.
func (e Encoder) PositionLead() int { _, lead := e.table(); return lead }

// embedded is the sequence of tokens, each with its position.
func (e Encoder) embedded(g *graph) act {
	name := "h.0"
	if e.PreNorm {
		name = "tokens"
	}
	P := e.Patches()
	cut := g.step("patches", P, e.PatchLen(), []act{g.pixels()}, func(in []act) *gorgonia.Node {
		return g.patches(in[0].node, e.Arch)
	})
	z, site := g.unperturbed(PatchEmbed, -1, e.Names.Patch, "patch_embed", cut, NoAct)
	h := g.step(name, e.Tokens(), e.Hidden, []act{z}, func(in []act) *gorgonia.Node {
		return g.embed(in[0], e.segments(), e.Tokens())
	})
	h = g.noisy(site, h, e.Tokens()-P, P, NoAct)
	if e.Prompts > 0 {
		h = g.noisy(g.net.directSite(namePrompts), h, e.Lead(), e.Prompts, NoAct)
	}
	return h
}

// segments are the runs of rows of the sequence in their order; the last is that
// of the patches.
func (e Encoder) segments() []segment {
	table := e.Names.Positions
	rows, lead := e.table()
	if rows == 0 {
		table = ""
	}
	var s []segment
	at := 0
	add := func(token string, rows int) {
		x := segment{token: token, rows: rows, position: -1}
		if at += rows; at <= lead {
			x.position = at - rows
		}
		s = append(s, x)
	}
	if !e.NoCls {
		add(e.Names.Cls, 1)
	}
	if e.Dist {
		add(e.Names.Dist, 1)
	}
	if e.Registers > 0 {
		add(e.Names.Registers, e.Registers)
	}
	if e.Prompts > 0 {
		s = append(s, segment{token: namePrompts, rows: e.Prompts, position: -1})
	}
	p := segment{rows: e.Patches(), position: lead}
	if table == "" {
		p.position = -1
	}
	s = append(s, p)
	for i := range s {
		if s[i].position >= 0 {
			s[i].table = table
		}
	}
	return s
}
