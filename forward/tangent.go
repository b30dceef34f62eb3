package forward

// Tangent answers queries by their outputs z′ and the slope of each item's loss at the
// outputs z of its clean pass,
//
//	ℓ_i + Σ_k ∂ℓ_i/∂z_ik (z′_k − z_ik),
//
// so that noise has to find out how the outputs move alone, and how a loss bends between
// z and z′ adds nothing to the variance. To first order in the noise it is the loss.
type Tangent struct {
	clean *Clean
	slope []float32 // Size×Classes
}

// Tangent is that of a clean pass, nil where its loss has no derivative.
func (c *Clean) Tangent() (*Tangent, error) {
	e, err := c.OutputGradient(1)
	if e == nil || err != nil {
		return nil, err
	}
	return &Tangent{c, e}, nil
}

// Losses writes what is answered of queries whose outputs are rows of outputs.
func (t *Tangent) Losses(out, outputs []float32, q []Query) {
	k := t.clean.Classes
	for j, x := range q {
		i := int(x.Image)
		sum := float64(t.clean.Losses[i])
		for c, z := range t.clean.Logits[i*k : (i+1)*k] {
			sum += float64(t.slope[i*k+c]) * (float64(outputs[j*k+c]) - float64(z))
		}
		out[j] = float32(sum)
	}
}
