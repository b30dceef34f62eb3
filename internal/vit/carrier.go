package vit

import (
	"math"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/kernel"
	"github.com/flops-vit/flops/noise"
)

// carrier makes the images' E of one site.
type carrier struct {
	*Link
	g         *forward.Guess
	noise     noise.Source
	at        noise.Counter
	share     float32 // 1/B
	first     []int   // per image: where its directions begin
	q, k, v   []float32
	z, spread []float32
}

// carrier fetches what the link of a site takes of the store.
func (p *pass) carrier(site int, step uint32, g *forward.Guess) (*carrier, error) {
	m, n := p.m, p.batch.Size
	c := &carrier{Link: &m.net.out.links[site], g: g, noise: m.noise, at: noise.Counter{Step: step, Site: uint32(site)},
		share: 1 / float32(n)}
	for i, j := 0, 0; i <= n; i++ {
		for j < len(g.Queries) && int(g.Queries[j].Image) < i {
			j++
		}
		c.first = append(c.first, j)
	}
	var err error
	get := func(a Activation) (x []float32) {
		if err == nil {
			x, err = m.b.Stored(a, n, nil)
		}
		return x
	}
	switch c.Kind {
	case AtActivation:
		c.z = get(c.Link.Z)
	case AtAttention:
		c.q, c.k, c.v = get(c.Link.Q), get(c.Link.K), get(c.Link.V)
	}
	g.Left = make([]float32, len(g.Coefs))
	if c.Teaches {
		c.spread = make([]float32, n*c.Width)
		if g.Changes != nil {
			g.Carried = make([]float32, len(g.Coefs)*c.Width)
		} else {
			g.Pushed = make([]float32, n*c.Width)
		}
	}
	return c, err
}

// image makes E of one image, and what is left of its directions.
func (c *carrier) image(w *guide, i int, e []float32) {
	g := c.g
	clear(e)
	w.hat, w.eps, w.raw = sized(w.hat, len(e)), sized(w.eps, len(e)), sized(w.raw, len(e))
	u := g.At[i*c.Width : (i+1)*c.Width]
	c.pull(w, i, u)
	clear(w.raw)
	weight := (1 - g.Withheld) * g.Weights[i]
	at := c.at
	at.Image = uint32(i)
	for j := c.first[i]; j < c.first[i+1]; j++ {
		at.Pair = uint32(g.Queries[j].Pair)
		c.noise.Fill(w.eps, at, 0)
		g.Left[j] = g.Coefs[j] - kernel.Dot(w.eps, w.hat)
		kernel.Axpy(w.raw, g.Left[j], w.eps)
		if g.Carried != nil {
			c.push(w, i, w.eps, g.Carried[j*c.Width:(j+1)*c.Width])
		}
		if !g.Used {
			kernel.Axpy(e, weight*g.Coefs[j], w.eps)
		}
	}
	if g.Used {
		kernel.Axpy(e, weight, w.raw)
		kernel.Axpy(e, c.share, w.hat)
	}
	if c.Teaches {
		if g.Pushed != nil {
			c.push(w, i, w.raw, g.Pushed[i*c.Width:(i+1)*c.Width])
		}
		c.vary(w, i, c.spread[i*c.Width:(i+1)*c.Width])
	}
}

// width is that of a row of the anchor.
func (c *carrier) width() int { return c.Width / len(c.Runs) }

// pull is ĝ_i = Dᵀu, into w.hat.
func (c *carrier) pull(w *guide, i int, u []float32) {
	W, R := c.width(), c.Runs.rows()
	switch c.Kind {
	case AtActivation:
		n := len(w.hat)
		w.rows = sized(w.rows, n)
		c.Runs.spread(w.rows, u, W)
		c.Act.grad(w.hat, c.z[i*n:(i+1)*n], w.rows)
	case AtAttention:
		c.attend(w, i)
		T := c.Link.K.Rows
		w.rows = sized(w.rows, R*W)
		c.Runs.spread(w.rows, u, W)
		w.dq, w.dk, w.dv = sized(w.dq, R*W), sized(w.dk, T*W), sized(w.dv, T*W)
		kernel.AttentionGrad(w.dq, W, w.dk, W, w.dv, W, w.rows, W, c.q[i*R*W:], W, R, c.k[i*T*W:], W, c.v[i*T*W:], W, T,
			c.Heads, W/c.Heads, c.scale(), w.probs, nil, &w.attn)
		copy(w.hat, [][]float32{w.dq, w.dk, w.dv}[c.Part])
	default:
		c.Runs.spread(w.hat, u, W)
	}
}

// push adds D·x, of noise x at the site, to out.
func (c *carrier) push(w *guide, i int, x, out []float32) {
	W, R := c.width(), c.Runs.rows()
	switch c.Kind {
	case AtActivation:
		w.rows = sized(w.rows, R*W)
		c.Act.grad(w.rows, c.z[i*R*W:(i+1)*R*W], x)
		x = w.rows
	case AtAttention: // linear in the values
		T := c.Link.K.Rows
		w.rows = sized(w.rows, R*W)
		kernel.Attention(w.rows, W, c.q[i*R*W:], W, R, c.k[i*T*W:], W, x, W, T, c.Heads, W/c.Heads, c.scale(), nil, nil,
			&w.attn)
		x = w.rows
	}
	c.Runs.gather(out, x, W)
}

// vary is the variance of D·ε of one image; pull has gone before.
func (c *carrier) vary(w *guide, i int, out []float32) {
	W, R := c.width(), c.Runs.rows()
	switch c.Kind {
	case AtActivation:
		w.rows = sized(w.rows, R*W)
		for k := range w.rows {
			w.rows[k] = 1
		}
		c.Act.grad(w.rows, c.z[i*R*W:(i+1)*R*W], w.rows)
		c.Runs.each(func(k, lo, hi int, share float32) {
			at := out[k*W : (k+1)*W]
			for t := lo; t < hi; t++ {
				for j, v := range w.rows[t*W : (t+1)*W] {
					at[j] += share * share * v * v
				}
			}
		})
	case AtAttention:
		c.weighed(w, out)
	default:
		for k := range out {
			out[k] = 1
		}
	}
}

// weighed is the variance of noise of the values at the anchor: of a head and a run
// Σ_s (Σ_t p_ts)² over the number of its rows t.
func (c *carrier) weighed(w *guide, spread []float32) {
	W, R, T := c.width(), c.Runs.rows(), c.Link.K.Rows
	w.row = sized(w.row, T)
	for h := range c.Heads {
		c.Runs.each(func(k, lo, hi int, share float32) {
			clear(w.row)
			for t := lo; t < hi; t++ {
				kernel.Axpy(w.row, share, w.probs[(h*R+t)*T:(h*R+t+1)*T])
			}
			sq := kernel.Dot(w.row, w.row)
			for j := k*W + h*W/c.Heads; j < k*W+(h+1)*W/c.Heads; j++ {
				spread[j] = sq
			}
		})
	}
}

// attend leaves the attention's weights in w.probs.
func (c *carrier) attend(w *guide, i int) {
	W, R, T := c.width(), c.Runs.rows(), c.Link.K.Rows
	w.probs, w.out = sized(w.probs, c.Heads*R*T), sized(w.out, R*W)
	kernel.Attention(w.out, W, c.q[i*R*W:], W, R, c.k[i*T*W:], W, c.v[i*T*W:], W, T, c.Heads, W/c.Heads, c.scale(), nil,
		w.probs, &w.attn)
}

func (c *carrier) scale() float32 { return float32(1 / math.Sqrt(float64(c.width()/c.Heads))) }

// mean is that of the variances over the images, in their order.
func (c *carrier) mean() {
	if !c.Teaches {
		return
	}
	c.g.Spread = make([]float32, c.Width)
	for i := 0; i < len(c.spread); i += c.Width {
		kernel.AddTo(c.g.Spread, c.spread[i:i+c.Width])
	}
	kernel.Scale(c.g.Spread, float32(c.Width)/float32(len(c.spread)))
}
