package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"sort"
	"strings"

	"github.com/flops-vit/flops/internal/measure"
	"github.com/flops-vit/flops/internal/pages"
	"github.com/flops-vit/flops/internal/train"
	"github.com/flops-vit/flops/internal/ui"
)

// write prints the report and writes its files.
func (f *allocFlags) write(w io.Writer, x *train.Experiment, r *pages.Allocation) error {
	if f.output != "" {
		if err := r.WriteFiles(f.output, x, versionString()); err != nil {
			return err
		}
	}
	if f.asJSON {
		return json.NewEncoder(w).Encode(r)
	}
	fmt.Fprintf(w, "after %d steps; variance of the gradient (equal shares: 1), %d draws, %s\n\n", r.Step,
		f.o.Draws, ui.Plural(r.Batches, "batch", "batches"))
	t := ui.Table{Head: []string{"allocator", "predicted", "measured", "95% interval", "cos to bp", "ms"}}
	for _, a := range r.Allocators {
		between := numberOrDash(a.CI95[0])
		if between != "-" {
			between += " to " + numberOrDash(a.CI95[1])
		}
		t.Add(a.Name, numberOrDash(a.Predicted), numberOrDash(a.Measured), between, cosineOrDash(a.Cosine),
			fmt.Sprintf("%.2f", 1e3*a.Seconds))
	}
	if err := t.Print(w); err != nil {
		return err
	}
	fmt.Fprintln(w)
	if err := siteTable(w, r); err != nil {
		return err
	}
	if err := imageTable(r, 12).Print(w); err != nil || f.output == "" {
		return err
	}
	_, err := fmt.Fprintf(w, "\nreport %s\n", filepath.Join(f.output, "report.html"))
	return err
}

// numberOrDash is a number, a dash where the draws do not say it.
func numberOrDash(v float64) string {
	if math.IsNaN(v) {
		return "-"
	}
	return fmt.Sprintf("%.3f", v)
}

// cosineOrDash is a cosine, a dash where it is 0: of a loss without a gradient to compare with.
func cosineOrDash(v float64) string {
	if v == 0 {
		return "-"
	}
	return fmt.Sprintf("%.3f", v)
}

// siteTable prints what the estimate is like at each site.
func siteTable(w io.Writer, r *pages.Allocation) error {
	if len(r.Sites) == 0 {
		return nil
	}
	fmt.Fprintf(w, "the estimate as the run has it, over %d draws: noise to signal, share of the\n"+
		"variance, what the surrogate leaves, cosine of a draw and of their mean, and\n"+
		"that without bias\n\n", r.Sites[0].Draws)
	t := ui.Table{Head: []string{"site", "N/S", "variance", "residual", "cos to bp", "of mean", "unbiased"}}
	num := func(v *float64) string {
		if v == nil {
			return "-"
		}
		return fmt.Sprintf("%.3g", *v)
	}
	for _, s := range r.Sites {
		residual := num(s.Residual)
		if s.Unused {
			residual += " off"
		}
		t.Add(s.Name, num(s.Noise), fmt.Sprintf("%.1f%%", 100*s.Share), residual, num(s.Cosine), num(s.Mean),
			num(s.Unbiased))
	}
	if err := t.Print(w); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w)
	return err
}

// imageTable lists the images that the second allocator gives most to.
func imageTable(r *pages.Allocation, most int) *ui.Table {
	names := []string{}
	for _, a := range r.Allocators {
		names = append(names, a.Name)
	}
	by := names[min(1, len(names)-1)]
	sorted := append([]measure.Image(nil), r.Images...)
	sort.SliceStable(sorted, func(a, b int) bool { return sorted[a].Queries[by] > sorted[b].Queries[by] })
	t := &ui.Table{Head: append([]string{"image", "loss"}, abbreviate(names)...)}
	for _, im := range sorted[:min(most, len(sorted))] {
		cells := []any{im.Label + " " + filepath.Base(im.Path), fmt.Sprintf("%.3f", im.Loss)}
		for _, n := range names {
			cells = append(cells, im.Queries[n])
		}
		t.Add(cells...)
	}
	return t
}

func abbreviate(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = strings.Replace(n, "gaussian_released", "released", 1)
	}
	return out
}
