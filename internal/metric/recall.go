package metric

import (
	"encoding/binary"
	"math"

	"github.com/flops-vit/flops/internal/objective"
)

func init() {
	Register(Metric{Name: ImageToText, Title: "image to text", Each: "recall", At: recallAt,
		About:    "share of the images that have their text among the k nearest of the distinct texts by cosine",
		Standard: 5, Range: Share, Needs: Embeddings, Whole: func(t Task, b *Batch) ([]float64, error) {
			return imageToText(t, b, recallAt), nil
		}})
	Register(Metric{Name: TextToImage, Title: "text to image", Each: "recall", At: recallAt,
		About:    "share of the images' texts that have an image of theirs among the k nearest images by cosine",
		Standard: 6, Range: Share, Needs: Embeddings, Whole: func(t Task, b *Batch) ([]float64, error) {
			return textToImage(t, b, recallAt), nil
		}})
}

// Names of the retrieval in both directions. Training with a text per image is to
// raise the first of ImageToText.
const (
	ImageToText = "image_to_text"
	TextToImage = "text_to_image"
)

// recallAt are the numbers of nearest neighbours that retrieval looks at.
var recallAt = []int{1, 5, 10}

// imageToText is recall among the images and the distinct texts of them: texts
// that are equal value by value are one. Wrong answers at exactly the cosine of
// the right one count as nearer, so that constant embeddings score 0.
func imageToText(t Task, b *Batch, ks []int) []float64 {
	group, distinct := groups(b.Texts, b.Size, t.Outputs)
	self := make([]int, len(distinct)/t.Outputs)
	for i := range self {
		self[i] = i
	}
	return recall(b.Outputs, group, distinct, self, t.Outputs, ks)
}

// textToImage is the same from the text of each image; any image of an equal text
// answers it.
func textToImage(t Task, b *Batch, ks []int) []float64 {
	group, _ := groups(b.Texts, b.Size, t.Outputs)
	return recall(b.Texts, group, b.Outputs, group, t.Outputs, ks)
}

// groups numbers equal rows alike, in the order of their first appearance.
func groups(rows []float32, n, width int) (group []int, distinct []float32) {
	seen := map[string]int{}
	key := make([]byte, 0, 4*width)
	for i := range n {
		row := rows[i*width : (i+1)*width]
		key = key[:0]
		for _, v := range row {
			key = binary.LittleEndian.AppendUint32(key, math.Float32bits(v))
		}
		g, ok := seen[string(key)]
		if !ok {
			g = len(seen)
			seen[string(key)] = g
			distinct = append(distinct, row...)
		}
		group = append(group, g)
	}
	return group, distinct
}

// recall is the share of rows of from that have, among their k nearest rows of
// to, one of their own group.
func recall(from []float32, fromGroup []int, to []float32, toGroup []int, width int, ks []int) []float64 {
	out, sims := make([]float64, len(ks)), make([]float32, len(toGroup))
	for i, g := range fromGroup {
		cosines(sims, from[i*width:(i+1)*width], to, width)
		best := float32(-2)
		for j, s := range sims {
			if toGroup[j] == g {
				best = max(best, s)
			}
		}
		nearer := 0
		for j, s := range sims {
			if toGroup[j] != g && !(s < best) {
				nearer++
			}
		}
		for j, k := range ks {
			if nearer < k {
				out[j]++
			}
		}
	}
	for j := range out {
		out[j] /= float64(len(fromGroup))
	}
	return out
}

// cosines writes the cosine of e with each row of rows; that with a row of zero
// length is 0.
func cosines(out, e, rows []float32, width int) {
	le := max(objective.Norm(e), tiny)
	for k := range out {
		t := rows[k*width : (k+1)*width]
		var d float64
		for j, v := range t {
			d += float64(v) * float64(e[j])
		}
		out[k] = float32(d / le / max(objective.Norm(t), tiny))
	}
}

// tiny keeps an embedding of zero length from dividing by zero; its cosines are 0.
const tiny = 1e-30
