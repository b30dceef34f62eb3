package hf

import (
	"regexp"
	"slices"

	"github.com/flops-vit/flops/internal/safetensors"
)

// naming is how files name the tensors of a family.
type naming struct {
	rules []rename // turn any name into the one that is written, in order
	// spelled are the tensors of the encoder that stand otherwise in a written
	// file: several in one along the first dimension, or the other way round.
	spelled []spelling
	// closed: every tensor of such a file is of the network, or was learned beside it.
	closed bool
}

// learned are the tensors that a run adds to the files of any family: tokens, and what an
// objective learns.
var learned = regexp.MustCompile(`^(prompt\.tokens|objective\.)`)

type rename struct {
	from *regexp.Regexp
	to   string
}

func renames(pairs ...string) []rename {
	var r []rename
	for i := 0; i < len(pairs); i += 2 {
		r = append(r, rename{regexp.MustCompile(pairs[i]), pairs[i+1]})
	}
	return r
}

// spelling says where in a file a tensor of the encoder stands: to is the file's
// tensor; parts are the values of the group "part" in the order in which their
// tensors stand in it, none: one alone.
type spelling struct {
	from       *regexp.Regexp
	to         string
	parts      []string
	transposed bool
}

// place is where in a file a tensor stands: part of of, which are equally long.
type place struct {
	file       string
	part, of   int
	transposed bool
}

// written is the name that a tensor of a file is written under.
func (n naming) written(name string) string {
	for _, r := range n.rules {
		name = r.from.ReplaceAllString(name, r.to)
	}
	return name
}

// place is where a tensor of the encoder is written.
func (n naming) place(name string) place {
	for _, s := range n.spelled {
		m := s.from.FindStringSubmatch(name)
		if m == nil {
			continue
		}
		p := place{file: s.from.ReplaceAllString(name, s.to), of: 1, transposed: s.transposed}
		if i := s.from.SubexpIndex("part"); i > 0 {
			p.part, p.of = slices.Index(s.parts, m[i]), len(s.parts)
		}
		return p
	}
	return place{file: name, of: 1}
}

// piece is the part of a file's tensor, which must be one of its shape.
func (p place) piece(i safetensors.Info) safetensors.Info {
	if p.of > 1 && len(i.Shape) > 0 && i.Shape[0]%p.of == 0 {
		i.Shape = append([]int{i.Shape[0] / p.of}, i.Shape[1:]...)
		size := (i.End - i.Begin) / int64(p.of)
		i.Begin += int64(p.part) * size
		i.End = i.Begin + size
	}
	if p.transposed && len(i.Shape) == 2 {
		i.Shape = []int{i.Shape[1], i.Shape[0]}
	}
	return i
}

// transposed turns a matrix of so many rows around.
func transposed(data []float32, rows int) []float32 {
	columns := len(data) / rows
	out := make([]float32, len(data))
	for r := range rows {
		for c := range columns {
			out[c*rows+r] = data[r*columns+c]
		}
	}
	return out
}

// joined are the tensors of an encoder as a file has them, in their order.
func (n naming) joined(tensors []safetensors.Tensor) []safetensors.Tensor {
	var out []safetensors.Tensor
	at := map[string]int{}
	for _, t := range tensors {
		p := n.place(t.Name)
		if p.transposed {
			t.Data = transposed(t.Data, t.Shape[0])
			t.Shape = []int{t.Shape[1], t.Shape[0]}
		}
		i, begun := at[p.file]
		if !begun {
			at[p.file] = len(out)
			t.Name, t.Shape = p.file, slices.Clone(t.Shape)
			if p.of > 1 {
				data := make([]float32, p.of*len(t.Data))
				copy(data[p.part*len(t.Data):], t.Data)
				t.Data = data
				t.Shape[0] *= p.of
			}
			out = append(out, t)
			continue
		}
		copy(out[i].Data[p.part*len(t.Data):], t.Data)
	}
	return out
}

// bertNames are what transformers writes of the families that follow its BERT:
// save_pretrained under the names of its version 4, a state dict of version 5
// under those of its modules, and both without the prefix where there is no
// classifier. more are rules of the family, after these.
func bertNames(prefix string, more ...string) []rename {
	block := `^(` + regexp.QuoteMeta(prefix) + `encoder\.layer\.\d+\.)`
	return renames(append([]string{
		`^(embeddings|encoder|layers|layernorm|pooler)\.`, prefix + "${1}.",
		`^` + regexp.QuoteMeta(prefix) + `layers\.`, prefix + "encoder.layer.",
		block + `attention\.q_proj\.`, "${1}attention.attention.query.",
		block + `attention\.k_proj\.`, "${1}attention.attention.key.",
		block + `attention\.v_proj\.`, "${1}attention.attention.value.",
		block + `attention\.o_proj\.`, "${1}attention.output.dense.",
	}, more...)...)
}

// denseNames are the rules for a feed-forward layer that version 4 called
// intermediate and output.
func denseNames(prefix string) []string {
	block := `^(` + regexp.QuoteMeta(prefix) + `encoder\.layer\.\d+\.)`
	return []string{block + `mlp\.fc1\.`, "${1}intermediate.dense.", block + `mlp\.fc2\.`, "${1}output.dense."}
}
