package vit

// Span says that the noise of a site, a map's, lies in so many directions of a row of its
// output, which those know who make it (directions.Within). Call it before the network is
// put on a device.
func (n *Net) Span(site, directions int) {
	s := &n.sites[site]
	s.Span = directions
	l := &n.out.links[site]
	dim := directions * len(l.Runs)
	if l.Kind == AtAttention { // whose heads weigh the rows of the values each in its own way
		dim *= l.Heads
	}
	l.Dim = min(l.Width, dim)
}

// Spans says whether the device makes noise in a few directions.
func (m *Model) Spans() bool {
	d, ok := m.b.(interface{ Spans() bool })
	return ok && d.Spans()
}

// Spans says that noise is made in a few directions.
func (c *cpu) Spans() bool { return true }
