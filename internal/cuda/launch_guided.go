package cuda

// pullTokens is the longest sequence of PullAttention, whose scores stand in shared
// memory.
const pullTokens = 2048

// PullAttention writes the derivative of an attention of one row, weighed by u of each
// image, by its query (part 0), keys (1) or values (2), and to power, which may be 0,
// Σ p² of each image and head.
func (d *Device) PullAttention(out, power, q, k, v, u Ptr, images, tokens, heads, head, part int, scale float32) error {
	if images <= 0 {
		return nil
	}
	return d.Launch("pull_attention", Dim{heads, images, 1}, Dim{128, 1, 1}, 0, Compute,
		[]Arg{P(out), P(power), P(q), P(k), P(v), P(u), I(tokens), I(heads), I(head), I(part), F(scale)})
}

// NoiseLeft writes coef_j − ⟨ε_j, hat⟩ of so many directions, with hat of n values of
// the direction's image, counted from image first.
func (d *Device) NoiseLeft(left, coef, hat, image, pair Ptr, directions int, step, site uint32,
	first int, n int64) error {
	if directions <= 0 {
		return nil
	}
	a := []Arg{P(left), P(coef), P(hat), P(image), P(pair), U(step), U(site), I(first), L(n)}
	return d.Launch("noise_left", Dim{directions, 1, 1}, Dim{256, 1, 1}, 0, Compute, append(a, d.noise.args()...))
}

// Mix writes weight·a + share·b of n values an image, each of which has a weight.
func (d *Device) Mix(out, a, b, weight Ptr, share float32, images int, n int64) error {
	return d.over("mix", n, images, P(out), P(a), P(b), P(weight), F(share), L(n))
}

// SlopeSquare writes f'(x)².
func (d *Device) SlopeSquare(f Function, out, x Ptr, n int64) error {
	return d.over("slope_square", n, 1, P(out), P(x), L(n), I(int(f)))
}
