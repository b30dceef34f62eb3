package texts

import (
	"fmt"
	"math"
	"strings"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/hf"
	"github.com/flops-vit/flops/internal/uierr"
	"github.com/flops-vit/flops/internal/vit"
	"github.com/flops-vit/flops/noise"
)

// ContextName is the parameter of a context that is trained as it is; of several it is
// that and a number each.
const ContextName = vit.ContextName

// Learned says whether a name is that of a tensor that a Model learns.
func Learned(name string) bool {
	return name == ContextName || strings.HasPrefix(name, ContextName+".") || name == SubspaceName
}

func loadLearned(dir string) (*hf.Text, error) { return hf.LoadText(dir) }

// Start says what a context begins as: the embeddings of Words, repeated for every
// class that has a context of its own, or numbers from N(0, 0.02²).
type Start struct {
	Words string
	Count int // vectors of a context
	Seed  uint64
}

// startStd is the deviation of a context that begins with no words (CoOp).
const startStd = 0.02

// rows is the start of a whole context.
func (s Start) rows(rows, width int, words func(string) ([]float32, error)) ([]float32, error) {
	out := make([]float32, rows*width)
	if s.Words == "" {
		g := noise.Rand(s.Seed, noise.Init, contextStream)
		for i := range out {
			out[i] = float32(startStd * g.Normal())
		}
		return out, nil
	}
	v, err := words(s.Words)
	if err != nil {
		return nil, err
	}
	if n := len(v) / width; n != s.Count {
		return nil, uierr.New(fmt.Sprintf("prompt.words: %q is %d pieces, and prompt.count is %d", s.Words, n, s.Count),
			fmt.Sprintf("set prompt.count: %d, or leave prompt.words out", n))
	}
	for lo := 0; lo < len(out); lo += len(v) {
		copy(out[lo:], v)
	}
	return out, nil
}

// contextStream and subspaceStream keep the draws apart from those of tensors.
const (
	contextStream  = 1 << 20
	subspaceStream = contextStream + 1
)

// Plain are contexts that are trained as they are (CoOp), each a parameter.
func Plain(s Start) func(rows, width int, words func(string) ([]float32, error)) (Shape, error) {
	return func(rows, width int, words func(string) ([]float32, error)) (Shape, error) {
		v, err := s.rows(rows, width, words)
		if err != nil {
			return nil, err
		}
		var p plain
		for lo, n := 0, s.Count*width; lo < len(v); lo += n {
			x := &forward.Param{Name: ContextName, Block: -1, Shape: []int{s.Count, width}, Role: "prompt",
				Data: v[lo : lo+n : lo+n]}
			if rows > s.Count {
				x.Name = fmt.Sprintf("%s.%d", ContextName, lo/n)
			}
			p = append(p, x)
		}
		return p, nil
	}
}

type plain []*forward.Param

func (p plain) Params() []*forward.Param { return p }

func (p plain) Make(context []float32, theta [][]float32) {
	for _, v := range theta {
		context = context[copy(context, v):]
	}
}

func (p plain) Back(dtheta [][]float32, dcontext []float32, _ [][]float32) {
	for _, d := range dtheta {
		for i := range d {
			d[i] += dcontext[i]
		}
		dcontext = dcontext[len(d):]
	}
}

// subspace is a context of few numbers (after ZIP; Park et al. 2025, arXiv
// 2504.06838): with θ of an intrinsic dimension d, numbers φ = φ₀ + A·θ, A fixed and
// random, are the parts of a matrix of low rank that is added to the start, U·diag(s)·Vᵀ
// and one vector v that all rows share:
//
//	context = start + U diag(s) Vᵀ + 1 vᵀ
//
// U, V are rows×r and width×r. φ₀ is zero but for U and V, which are drawn, and A has
// entries of N(0, 1/d), so that θ = 0 is the start. The paper projects by Fastfood;
// a dense A is the same in law up to what Fastfood approximates.
type subspace struct {
	p                 *forward.Param
	start, phi0, a    []float32
	rows, width, rank int
	phi, dphi         []float32
}

// SubspaceName is the parameter of a context in a subspace.
const SubspaceName = "prompt.subspace"

// maxProjection bounds the values of A.
const maxProjection = 1 << 28

// Subspace is a context of a rank and an intrinsic dimension.
func Subspace(s Start, rank, dim int) func(rows, width int, words func(string) ([]float32, error)) (Shape, error) {
	return func(rows, width int, words func(string) ([]float32, error)) (Shape, error) {
		if rank > min(rows, width) {
			return nil, uierr.New(fmt.Sprintf("prompt.rank: %d, and the context is %d vectors of %d numbers", rank, rows, width),
				fmt.Sprintf("set at most %d", min(rows, width)))
		}
		n := rows*rank + rank + width*rank + width
		if int64(n)*int64(dim) > maxProjection {
			return nil, uierr.New(fmt.Sprintf("prompt.dim: %d dimensions of %d numbers are too many to project", dim, n),
				"set a smaller prompt.dim, prompt.rank or prompt.count")
		}
		v, err := s.rows(rows, width, words)
		if err != nil {
			return nil, err
		}
		x := &subspace{start: v, rows: rows, width: width, rank: rank, phi0: make([]float32, n), phi: make([]float32, n),
			dphi: make([]float32, n), a: make([]float32, n*dim),
			p: &forward.Param{Name: SubspaceName, Block: -1, Shape: []int{dim}, Role: "prompt", Data: make([]float32, dim)}}
		g := noise.Rand(s.Seed, noise.Init, subspaceStream)
		for i := range x.a {
			x.a[i] = float32(g.Normal() / math.Sqrt(float64(dim)))
		}
		u, _, w, _ := x.parts(x.phi0)
		for i := range u {
			u[i] = float32(g.Normal() / math.Sqrt(float64(rank)))
		}
		for i := range w {
			w[i] = float32(g.Normal())
		}
		return x, nil
	}
}

// parts are U, s, V and v in φ.
func (x *subspace) parts(phi []float32) (u, s, v, shared []float32) {
	a, b := x.rows*x.rank, x.rows*x.rank+x.rank
	c := b + x.width*x.rank
	return phi[:a], phi[a:b], phi[b:c], phi[c:]
}

func (x *subspace) Params() []*forward.Param { return []*forward.Param{x.p} }

// lift writes φ of a θ.
func (x *subspace) lift(theta []float32) {
	d := len(theta)
	for i := range x.phi {
		sum := float64(x.phi0[i])
		for j, v := range theta {
			sum += float64(x.a[i*d+j]) * float64(v)
		}
		x.phi[i] = float32(sum)
	}
}

// unit is what a step of one in φ moves the context by: the deviation of a start.
const unit = startStd

func (x *subspace) Make(context []float32, theta [][]float32) {
	x.lift(theta[0])
	u, s, v, shared := x.parts(x.phi)
	r := x.rank
	for i := range x.rows {
		for j := range x.width {
			sum := float64(shared[j])
			for k := range r {
				sum += float64(u[i*r+k]) * float64(s[k]) * float64(v[j*r+k])
			}
			context[i*x.width+j] = x.start[i*x.width+j] + float32(unit*sum)
		}
	}
}

func (x *subspace) Back(dtheta [][]float32, dcontext []float32, theta [][]float32) {
	x.lift(theta[0])
	u, s, v, _ := x.parts(x.phi)
	clear(x.dphi)
	du, ds, dv, dshared := x.parts(x.dphi)
	r := x.rank
	for i := range x.rows {
		for j := range x.width {
			g := unit * dcontext[i*x.width+j]
			dshared[j] += g
			for k := range r {
				du[i*r+k] += g * s[k] * v[j*r+k]
				ds[k] += g * u[i*r+k] * v[j*r+k]
				dv[j*r+k] += g * u[i*r+k] * s[k]
			}
		}
	}
	d := len(theta[0])
	for i, g := range x.dphi {
		for j := range d {
			dtheta[0][j] += x.a[i*d+j] * g
		}
	}
}
