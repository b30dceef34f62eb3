package hf

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/flops-vit/flops/internal/safetensors"
	"github.com/flops-vit/flops/internal/uierr"
	"github.com/flops-vit/flops/internal/vit"
)

// A Kernel is how positions are interpolated to another grid, as PyTorch's
// interpolate with align_corners=false does it.
type Kernel int

// The kernels in use.
const (
	Bicubic   Kernel = iota // a = −0.75, the border repeated (R. Keys, "Cubic convolution interpolation", 1981)
	Antialias               // bicubic with a = −0.5, widened where the grid shrinks, cut at the border
	Bilinear                // the border repeated
)

// InterpolatePositions resizes rows of dim values that stand for a grid of
// patches, row by row, after so many lead rows, which are copied.
func InterpolatePositions(pos []float32, lead int, from, to [2]int, dim int, k Kernel) ([]float32, error) {
	for _, n := range []int{from[0], from[1], to[0], to[1], dim} {
		if n < 1 || lead < 0 || len(pos) != (lead+from[0]*from[1])*dim {
			return nil, fmt.Errorf("hf: %d position embeddings are not %d+%dx%d rows of %d, to be resized to %dx%d", len(pos),
				lead, from[0], from[1], dim, to[0], to[1])
		}
	}
	out := make([]float32, (lead+to[0]*to[1])*dim)
	copy(out, pos[:lead*dim])
	if from == to {
		copy(out, pos)
		return out, nil
	}
	rows, columns := k.taps(from[0], to[0]), k.taps(from[1], to[1])
	acc := make([]float64, dim)
	for y, ty := range rows {
		for x, tx := range columns {
			clear(acc)
			for i, wy := range ty.w {
				for j, wx := range tx.w {
					row := pos[(lead+ty.at[i]*from[1]+tx.at[j])*dim:][:dim]
					for d, v := range row {
						acc[d] += wy * wx * float64(v)
					}
				}
			}
			dst := out[(lead+y*to[1]+x)*dim:][:dim]
			for d, v := range acc {
				dst[d] = float32(v)
			}
		}
	}
	return out, nil
}

// tap is where one output sample takes its inputs from.
type tap struct {
	at []int
	w  []float64
}

func (t *tap) add(at int, w float64) { t.at, t.w = append(t.at, at), append(t.w, w) }

// taps are those of to samples of from.
func (k Kernel) taps(from, to int) []tap {
	taps := make([]tap, to)
	scale := float64(from) / float64(to)
	for o := range taps {
		t := &taps[o]
		middle := (float64(o) + 0.5) * scale
		switch k {
		case Antialias:
			wide, sum := max(scale, 1), 0.0
			lo, hi := max(int(middle-2*wide+0.5), 0), min(int(middle+2*wide+0.5), from)
			for j := lo; j < hi; j++ {
				w := cubic((float64(j)-middle+0.5)/wide, -0.5)
				t.add(j, w)
				sum += w
			}
			for j := range t.w {
				t.w[j] /= sum
			}
		case Bilinear:
			src := max(middle-0.5, 0)
			base := int(src)
			t.add(base, 1-(src-float64(base)))
			t.add(min(base+1, from-1), src-float64(base))
		default:
			src := middle - 0.5
			base := math.Floor(src)
			for j := -1; j < 3; j++ {
				t.add(min(max(int(base)+j, 0), from-1), cubic(src-base-float64(j), -0.75))
			}
		}
	}
	return taps
}

// cubic is the bicubic kernel with the free parameter a.
func cubic(x, a float64) float64 {
	x = math.Abs(x)
	switch {
	case x < 1:
		return ((a+2)*x-(a+3))*x*x + 1
	case x < 2:
		return ((a*x-5*a)*x+8*a)*x - 4*a
	}
	return 0
}

// grown is what stood in the files before the model was made to take images of
// the size that its preprocessor makes.
type grown struct {
	rows, columns int
	tensors       []grownTensor
	changed       bool // since then, so that the files' are of no more use
}

type grownTensor struct {
	came    safetensors.Tensor
	resized []float32
}

// stored is the size of images as config.json has it.
func (c *Config) stored() (rows, columns int) {
	if g := c.grown; g != nil && !g.changed {
		return g.rows, g.columns
	}
	return c.ImageSize, c.ImageWidth
}

// shrunk are the tensors to be written: those that came, where nothing has changed
// in what they were resized to.
func (c *Config) shrunk(tensors []safetensors.Tensor) []safetensors.Tensor {
	g := c.grown
	if g == nil {
		return tensors
	}
	out := slices.Clone(tensors)
	g.changed = false
	for _, was := range g.tensors {
		i := slices.IndexFunc(out, func(t safetensors.Tensor) bool { return t.Name == was.came.Name })
		if i < 0 || !slices.Equal(out[i].Data, was.resized) {
			g.changed = true
			return tensors
		}
		out[i] = was.came
	}
	return out
}

// grow makes the model take images of the size that its preprocessor makes, where
// its library does so by itself.
func (m *Model) grow() error {
	c := m.Config
	rows, columns := m.Preprocessor.Rows(), m.Preprocessor.Side()
	if rows == 0 {
		rows, columns = c.ImageSize, c.Columns()
	}
	same := rows == c.ImageSize && columns == c.Columns()
	if !c.kind().resizes || same && !c.turnedTable() {
		return nil
	}
	g := &grown{rows: c.ImageSize, columns: c.ImageWidth}
	before := slices.Clone(m.Tensors)
	if err := m.resize(rows, columns); err != nil {
		return err
	}
	for i, t := range m.Tensors {
		if len(t.Data) != len(before[i].Data) || len(t.Data) > 0 && &t.Data[0] != &before[i].Data[0] {
			g.tensors = append(g.tensors, grownTensor{before[i], slices.Clone(t.Data)})
		}
	}
	c.grown = g
	return nil
}

// sizesOf says which square images a patch size lets through Check.
func sizesOf(patch int) string {
	const side = 255 // patches of one, of fewer than maxSize in all
	return fmt.Sprintf("choose a multiple of the patch size %d, from %d to %d", patch, patch,
		min(side*patch, maxSize/patch*patch))
}

// Resize makes the model take images of another size, which are square: positions
// are interpolated, config and preprocessor follow.
func (m *Model) Resize(imageSize int) error {
	rows, columns := m.Config.ImageSize, m.Config.Columns()
	if n := m.Config.PatchSize; imageSize%n != 0 {
		return uierr.New(fmt.Sprintf("image size %d: not a multiple of patch_size %d", imageSize, n), sizesOf(n))
	}
	if g := m.Config.grown; g != nil { // from what is stored, not from what was made of it
		for _, was := range g.tensors {
			for i, t := range m.Tensors {
				if t.Name == was.came.Name && slices.Equal(t.Data, was.resized) {
					m.Tensors[i] = was.came
				}
			}
		}
		if !g.changed {
			m.Config.ImageSize, m.Config.ImageWidth = g.rows, g.columns
		}
		m.Config.grown = nil
	}
	if err := m.resize(imageSize, imageSize); err != nil {
		return err
	}
	if m.Preprocessor != nil {
		m.Preprocessor = m.Preprocessor.scaled(rows, columns, imageSize)
	}
	return nil
}

func (m *Model) resize(rows, columns int) error {
	c := *m.Config
	from := [2]int{c.ImageSize / c.PatchSize, c.Columns() / c.PatchSize}
	if c.ImageSize, c.ImageWidth = rows, columns; rows == columns {
		c.ImageWidth = 0
	}
	if err := c.Check(); err != nil {
		return uierr.Wrap(err, fmt.Sprintf("image size %d: %v", rows, err), sizesOf(c.PatchSize))
	}
	to := [2]int{rows / c.PatchSize, columns / c.PatchSize}
	e := c.Architecture(1, 0)
	for i, t := range m.Tensors {
		var data []float32
		var err error
		shape := slices.Clone(t.Shape)
		switch {
		case t.Name == e.Names.Positions:
			k := Bicubic
			if c.kind().antialias {
				k = Antialias
			}
			data, err = InterpolatePositions(t.Data, e.PositionLead(), from, to, c.HiddenSize, k)
			shape[len(shape)-2] = e.PositionLead() + to[0]*to[1]
		case e.Relative != vit.RelativeNone && strings.HasSuffix(t.Name, "relative_position_bias_table"):
			data, err = resizedTable(t.Data, from, to, c.NumHeads)
			shape[0] = len(data) / c.NumHeads
		default:
			continue
		}
		if err != nil {
			return err
		}
		m.Tensors[i] = safetensors.Tensor{Name: t.Name, Shape: shape, Data: data}
	}
	*m.Config = c
	return nil
}

// turnedTable says that the library reads the model's tables of relative position biases
// otherwise than they are indexed, at any size of images: those of images that are not
// square (resizedTable). What is read so cannot be written, and is not trained.
func (c *Config) turnedTable() bool {
	rows, columns := c.ImageSize, c.Columns()
	if g := c.grown; g != nil {
		rows, columns = g.rows, cmp.Or(g.columns, g.rows)
	}
	return c.net.Relative != vit.RelativeNone && rows/c.PatchSize != columns/c.PatchSize
}

// resizedTable interpolates a table of relative position biases, of which the last
// three rows are those of cls. It is read as so many rows as offsets go sideways, as
// transformers 5 reads it, which for images that are not square turns it, and
// interpolates it at its own size too.
func resizedTable(table []float32, from, to [2]int, heads int) ([]float32, error) {
	cut := len(table) - 3*heads
	out, err := InterpolatePositions(table[:cut], 0, [2]int{2*from[1] - 1, 2*from[0] - 1},
		[2]int{2*to[0] - 1, 2*to[1] - 1}, heads, Bilinear)
	return append(out, table[cut:]...), err
}
