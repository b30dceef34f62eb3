package objective

import (
	"fmt"
	"math"
)

// Anchor fixes the clean embeddings of the batch and writes ℓ_i.
func (c *Contrastive) Anchor(losses, outputs []float32, width int) error {
	B, M := len(c.want), len(c.batch)
	if width != c.width || len(outputs) < B*width || len(losses) < B {
		return fmt.Errorf("objective contrastive: %d outputs of width %d for %d images and texts of width %d", len(outputs),
			width, B, c.width)
	}
	slots := make([]int32, B)
	for i := range slots {
		slots[i] = int32(i)
	}
	c.cols, c.rest = nil, nil
	if c.sigmoid {
		return c.Losses(losses, outputs, B, width, slots)
	}
	s, scale := make([]float64, B*M), c.scale()
	for i := range B {
		c.similarities(s[i*M:(i+1)*M], outputs[i*width:(i+1)*width], scale)
	}
	c.cols = make([]float64, M)
	for k := range M {
		c.cols[k] = columnLSE(s, B, M, k, -1)
	}
	c.rest = s
	c.leaveOut(B, M)
	return c.Losses(losses, outputs, B, width, slots)
}

// leaveOut turns s_ik into log(exp A_k − exp s_ik), the column without image i.
// Where s_ik is most of its column (of one image at most), the difference would
// cancel and the sum is made again without it.
func (c *Contrastive) leaveOut(B, M int) {
	for k := range M {
		big := -1
		for i := range B {
			if c.rest[i*M+k]-c.cols[k] > -math.Ln2 {
				big = i
			}
		}
		var without float64
		if big >= 0 {
			without = columnLSE(c.rest, B, M, k, big)
		}
		for i := range B {
			if i == big {
				c.rest[i*M+k] = without
				continue
			}
			c.rest[i*M+k] = c.cols[k] + math.Log1p(-math.Exp(c.rest[i*M+k]-c.cols[k]))
		}
	}
}

// columnLSE is log Σ_i exp s_ik over the images but one.
func columnLSE(s []float64, B, M, k, but int) float64 {
	top := math.Inf(-1)
	for i := range B {
		if i != but {
			top = math.Max(top, s[i*M+k])
		}
	}
	if math.IsInf(top, 0) || math.IsNaN(top) {
		return top
	}
	var sum float64
	for i := range B {
		if i != but {
			sum += math.Exp(s[i*M+k] - top)
		}
	}
	return top + math.Log(sum)
}

// Losses writes L of each row (see Contrastive), or r where the batch has no
// anchor. slots[r] is the image of the batch whose embedding row r replaces.
func (c *Contrastive) Losses(out, outputs []float32, rows, width int, slots []int32) error {
	if err := c.check(out, outputs, rows, width, slots); err != nil {
		return err
	}
	s, scale := make([]float64, len(c.batch)), c.scale()
	for r := range rows {
		i := int(slots[r])
		c.similarities(s, outputs[r*width:(r+1)*width], scale)
		y := c.want[i]
		if c.sigmoid {
			out[r] = float32(c.pairs(s, y))
			continue
		}
		row := columnLSE(s, len(s), 1, 0, -1) - s[y]
		if c.cols == nil {
			out[r] = float32(row)
			continue
		}
		col := c.cols[y] - s[y]
		for k, n := range c.n {
			if n > 0 {
				col += n * (logAddExp(c.rest[i*len(s)+k], s[k]) - c.cols[k])
			}
		}
		out[r] = float32((row + col) / 2)
	}
	return nil
}

// Grad writes scale·∂L_r/∂e_r. At the clean embeddings of the anchor it is
// B·∂J/∂e_i, the columns included.
func (c *Contrastive) Grad(dout, outputs []float32, rows, width int, slots []int32, scale float32) error {
	if err := c.check(dout, outputs, rows, width, slots); err != nil {
		return err
	}
	s, g := make([]float64, len(c.batch)), make([]float64, len(c.batch))
	d, temp := make([]float64, width), c.scale()
	for r := range rows {
		e := outputs[r*width : (r+1)*width]
		length := max(c.similarities(s, e, temp), tiny)
		c.slopes(g, s, int(slots[r]))
		clear(d)
		var along float64 // g·s/scale: the part of d along e, which the unit vector drops
		for j, k := range c.batch {
			t := c.texts[k*width : (k+1)*width]
			for x := range d {
				d[x] += g[j] * t[x]
			}
			along += g[j] * s[j] / temp
		}
		for x := range d {
			dout[r*width+x] = scale * float32(temp/length*(d[x]-along*float64(e[x])/length))
		}
	}
	return nil
}

// slopes writes ∂L/∂s_k = ½(p_k − δ_ky) + ½(n_k q_k − δ_ky), with p the softmax
// of the row and q_k = exp(s_k − A′_k); without an anchor p − δ.
func (c *Contrastive) slopes(g, s []float64, i int) {
	if c.sigmoid {
		for k, v := range s {
			g[k] = 1 / (1 + math.Exp(-v-c.bias))
		}
		g[c.want[i]]--
		return
	}
	lse := columnLSE(s, len(s), 1, 0, -1)
	for k := range g {
		g[k] = math.Exp(s[k] - lse)
		if c.cols != nil {
			g[k] = (g[k] + c.n[k]*math.Exp(s[k]-logAddExp(c.rest[i*len(s)+k], s[k]))) / 2
		}
	}
	g[c.want[i]]--
}

// pairs is the sum over the texts of what each costs by itself.
func (c *Contrastive) pairs(s []float64, y int) float64 {
	var sum float64
	for k, v := range s {
		z := v + c.bias
		if k == y {
			z = -z
		}
		sum += logAddExp(0, z)
	}
	return sum
}

// LogScaleGrad is ∂J/∂τ at the clean embeddings of the anchored batch: what a
// learned temperature needs is in numbers already there, and costs no query.
// It is Σ_i Σ_k s_ik ∂L_i/∂s_ik / B.
func (c *Contrastive) LogScaleGrad(outputs []float32, width int) (float32, error) {
	B := len(c.want)
	if width != c.width || len(outputs) < B*width || B == 0 {
		return 0, fmt.Errorf("objective contrastive: %d outputs of width %d for %d images", len(outputs), width, B)
	}
	s, g := make([]float64, len(c.batch)), make([]float64, len(c.batch))
	var sum float64
	for i := range B {
		c.similarities(s, outputs[i*width:(i+1)*width], c.scale())
		c.slopes(g, s, i)
		for k := range g {
			sum += g[k] * s[k]
		}
	}
	return float32(sum / float64(B)), nil
}

// Right is the share of a batch's images whose own text is the nearest of the
// batch's texts, in the order of their outputs.
func (c *Contrastive) Right(outputs []float32, width int) (float64, error) {
	B := len(c.want)
	if width != c.width || len(outputs) < B*width || B == 0 {
		return 0, fmt.Errorf("objective contrastive: %d outputs of width %d for %d images", len(outputs), width, B)
	}
	s, right := make([]float64, len(c.batch)), 0
	for i, y := range c.want {
		c.similarities(s, outputs[i*width:(i+1)*width], 1)
		nearer := false
		for k, v := range s {
			nearer = nearer || k != y && !(v < s[y])
		}
		if !nearer {
			right++
		}
	}
	return float64(right) / float64(B), nil
}

func (c *Contrastive) check(out, outputs []float32, rows, width int, slots []int32) error {
	if width != c.width {
		return fmt.Errorf("objective contrastive: the model's embeddings have width %d, the texts %d", width, c.width)
	}
	return check("contrastive", out, outputs, rows, width, slots, len(c.want))
}

// logAddExp is log(exp a + exp b).
func logAddExp(a, b float64) float64 {
	if a < b {
		a, b = b, a
	}
	if math.IsInf(a, -1) {
		return a
	}
	return a + math.Log1p(math.Exp(b-a))
}
