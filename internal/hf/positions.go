package hf

import (
	"fmt"
	"math"
	"slices"

	"github.com/flops-vit/flops/internal/safetensors"
	"github.com/flops-vit/flops/internal/uierr"
)

// cubicA is the free parameter of the bicubic kernel in PyTorch's upsampling.
const cubicA = -0.75

// InterpolatePositions resizes the position embeddings of a ViT from a grid of
// from×from patches to one of to×to. pos is (1+from²)×dim, the cls row first,
// and so is the result; the cls row is copied. The patches are interpolated as
// transformers does it (ViTEmbeddings.interpolate_pos_encoding): bicubic with
// a = −0.75, align_corners=false, borders repeated, no antialiasing (R. Keys,
// "Cubic convolution interpolation", 1981).
func InterpolatePositions(pos []float32, from, to, dim int) ([]float32, error) {
	if from < 1 || to < 1 || dim < 1 || len(pos) != (1+from*from)*dim {
		return nil, fmt.Errorf("hf: %d position embeddings are not 1+%d² rows of %d, to be resized to %d²", len(pos), from,
			dim, to)
	}
	out := make([]float32, (1+to*to)*dim)
	copy(out, pos[:dim])
	if from == to {
		copy(out, pos)
		return out, nil
	}
	taps := cubicTaps(from, to)
	acc := make([]float64, dim)
	for y, ty := range taps {
		for x, tx := range taps {
			clear(acc)
			for i, wy := range ty.w {
				for j, wx := range tx.w {
					row := pos[(1+ty.at[i]*from+tx.at[j])*dim:][:dim]
					for d, v := range row {
						acc[d] += wy * wx * float64(v)
					}
				}
			}
			dst := out[(1+y*to+x)*dim:][:dim]
			for d, v := range acc {
				dst[d] = float32(v)
			}
		}
	}
	return out, nil
}

// tap is where one output sample takes its four inputs from.
type tap struct {
	at [4]int
	w  [4]float64
}

func cubicTaps(from, to int) []tap {
	taps := make([]tap, to)
	for o := range taps {
		src := (float64(o)+0.5)*float64(from)/float64(to) - 0.5
		base := math.Floor(src)
		t := src - base
		taps[o].w = [4]float64{cubicFar(t + 1), cubicNear(t), cubicNear(1 - t), cubicFar(2 - t)}
		for k := range taps[o].at {
			taps[o].at[k] = min(max(int(base)-1+k, 0), from-1)
		}
	}
	return taps
}

// cubicNear is the kernel for a distance of at most 1, cubicFar for 1 to 2.
func cubicNear(x float64) float64 { return ((cubicA+2)*x-(cubicA+3))*x*x + 1 }

func cubicFar(x float64) float64 { return ((cubicA*x-5*cubicA)*x+8*cubicA)*x - 4*cubicA }

// Resize makes the model take images of another size: the position embeddings
// are interpolated, config and preprocessor follow.
func (m *Model) Resize(imageSize int) error {
	c := *m.Config
	from := c.ImageSize / c.PatchSize
	c.ImageSize = imageSize
	if err := c.Check(); err != nil {
		return uierr.Wrap(err, fmt.Sprintf("image size %d: %v", imageSize, err),
			fmt.Sprintf("choose a multiple of the patch size %d", c.PatchSize))
	}
	to := imageSize / c.PatchSize
	for i, t := range m.Tensors {
		if t.Name != m.Config.kind().positions {
			continue
		}
		data, err := InterpolatePositions(t.Data, from, to, c.HiddenSize)
		if err != nil {
			return err
		}
		shape := slices.Clone(t.Shape)
		shape[len(shape)-2] = 1 + to*to
		m.Tensors[i] = safetensors.Tensor{Name: t.Name, Shape: shape, Data: data}
	}
	if m.Preprocessor != nil {
		m.Preprocessor = m.Preprocessor.scaled(m.Config.ImageSize, imageSize)
	}
	*m.Config = c
	return nil
}
