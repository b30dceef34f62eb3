package cuda

import "encoding/binary"

// Slots is where the device finds what each slot of a run evaluates: arrays of
// int32, the scale of every site, and the step.
type Slots struct{ Image, Label, Pair, Sign, Sigma, Step Ptr }

// noiseThreads is the number of threads that make n elements of noise: eight
// for every 32.
func noiseThreads(n int64) int64 { return (n + 31) / 32 * 8 }

// Perturb writes z + sign·σ·ε of each slot, then f. rows of width values
// a slot, of which live from offset on carry noise. z stands at the
// slot's image where indexed.
func (d *Device) Perturb(out, z Ptr, s Slots, slots, site, rows, width, offset, live int, indexed bool,
	f Function) error {
	n := max(noiseThreads(int64(live)*int64(width)), int64(rows-live)*int64(width)/8)
	a := []Arg{P(out), P(z), P(s.Image), P(s.Pair), P(s.Sign), P(s.Sigma), P(s.Step), U(uint32(site)),
		I(rows), I(width), I(offset), I(live), flag(indexed), I(int(f))}
	return d.over("perturb", max(n, 1), slots, append(a, d.noise.args()...)...)
}

// NoiseSum writes to row r of out, of n values, Σ coef_j·ε_j over the terms
// first[r] ≤ j < first[r+1], whose noise image and pair name.
func (d *Device) NoiseSum(out, first, image, pair, coef Ptr, rows int, step, site uint32, n int64) error {
	a := []Arg{P(out), P(first), P(image), P(pair), P(coef), U(step), U(site), L(n)}
	return d.over("noise_sum", noiseThreads(n), rows, append(a, d.noise.args()...)...)
}

// WeightShare is a parameter that WeightsNoise writes: n values of out and, where it is
// not 0, their nearest bf16 in half. Image stands for its number in the counter.
type WeightShare struct {
	Out, Z, Half Ptr
	N            int64
	Image        uint32
}

// shareBytes is the size of one in the device's table (share in kernels/noise.cu).
const shareBytes = 40

// shareTable is a table of them on the device.
type shareTable struct {
	at            Ptr
	count, blocks int
}

// Shares uploads a table to memory of shareBytes each.
func (d *Device) Shares(at Ptr, shares []WeightShare) (shareTable, error) {
	t := shareTable{at: at, count: len(shares)}
	var b []byte
	for _, s := range shares {
		for _, v := range []uint64{uint64(s.Out), uint64(s.Z), uint64(s.Half), uint64(s.N)} {
			b = binary.LittleEndian.AppendUint64(b, v)
		}
		b = binary.LittleEndian.AppendUint32(b, s.Image)
		b = binary.LittleEndian.AppendUint32(b, uint32(t.blocks))
		t.blocks += max(1, blocks(noiseThreads(s.N), blockThreads))
	}
	return t, d.Upload(at, b, Compute)
}

// WeightsNoise writes z + Σ coef_j·ε_j over all terms of every parameter of a table,
// whose number stands in the counter's image. z may be out.
func (d *Device) WeightsNoise(t shareTable, pair, coef Ptr, terms int, step, site uint32) error {
	if t.count == 0 {
		return nil
	}
	a := []Arg{P(t.at), I(t.count), P(pair), P(coef), I(terms), U(step), U(site)}
	return d.Launch("weights_noise", Dim{t.blocks, 1, 1}, Dim{blockThreads, 1, 1}, 0, Compute,
		append(a, d.noise.args()...))
}

// NoisyTokens is the longest sequence of NoisyRow, whose scores stand in shared
// memory.
const NoisyTokens = 1024

// noisyHead says that NoisyRow takes heads of d values: whole groups of the
// generator's numbers.
func noisyHead(d int) bool { return d == 32 || d == 64 || d == 128 }

// NoisyRow is attention of the first row of every slot from stored q, k and v under
// the noise of a site at one of them (0, 1 or 2), which the first offset of its rows
// do not carry. paired says that slots 2i and 2i+1 are the two signs of one direction.
func (d *Device) NoisyRow(at int, out, q, k, v Ptr, s Slots, slots, site, tokens, heads, head, offset int,
	scale float32,
	paired bool) error {
	n := slots
	if paired {
		n /= 2
	}
	if n <= 0 {
		return nil
	}
	a := []Arg{P(out), P(q), P(k), P(v), P(s.Image), P(s.Pair), P(s.Sign), P(s.Sigma), P(s.Step), U(uint32(site)),
		I(tokens),
		I(heads), I(head), I(offset), F(scale), flag(paired)}
	return d.Launch([]string{"noisy_query", "noisy_key", "noisy_value"}[at], Dim{heads, n, 1}, Dim{128, 1, 1}, 0, Compute,
		append(a, d.noise.args()...))
}

// Levels makes the images of the slots of bytes: table[channel][level].
func (d *Device) Levels(out, bytes, table, image Ptr, slots int, n, plane int64) error {
	return d.over("levels", n/4, slots, P(out), P(bytes), P(table), P(image), L(n), L(plane))
}
