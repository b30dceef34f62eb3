package pages

import (
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"

	"github.com/flops-vit/flops/internal/allocator"
	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/data"
	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/measure"
	"github.com/flops-vit/flops/internal/report"
	"github.com/flops-vit/flops/internal/runs"
	"github.com/flops-vit/flops/internal/settings"
	"github.com/flops-vit/flops/internal/train"
	"github.com/flops-vit/flops/internal/ui"
	"github.com/flops-vit/flops/internal/uierr"
)

// Allocation is who got the queries of a batch, and what it gained: the JSON of
// allocate-report.
type Allocation struct {
	Allocators []measure.Row           `json:"allocators"`
	Images     []measure.Image         `json:"images"`
	Sites      []measure.Site          `json:"sites"` // the estimate at each, as the run has it
	Step       int                     `json:"step"`
	Batches    int                     `json:"batches"`
	Probe      float64                 `json:"probe_seconds"`
	Pairs      int                     `json:"-"`                         // directions per image of the probe
	Draws      int                     `json:"-"`                         // per allocator and batch
	Paths      map[string][]ParamPoint `json:"parameter_paths,omitempty"` // by allocator, how its parameters moved
}

// ParamPoint is an allocator's learned parameters after a step.
type ParamPoint struct {
	Step   int             `json:"step"`
	Values settings.Floats `json:"values"`
}

// WriteFiles writes report.html, report.json, the tables and the pictures of a
// report on an experiment into a folder. version is the program's.
func (r *Allocation) WriteFiles(dir string, x *train.Experiment, version string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return uierr.Wrap(err, fmt.Sprintf("--output %s: %v", dir, err), "name a folder that can be written")
	}
	pictures, err := pictures(x, r)
	if err != nil {
		return err
	}
	page, err := r.page(x, version, pictures)
	if err != nil {
		return err
	}
	create := func(name string, fill func(io.Writer) error) error {
		return fsys.WriteOutput(fsys.OS, filepath.Join(dir, name), fill)
	}
	for _, a := range r.Allocators {
		tiles := make([]report.Tile, len(pictures))
		for i, t := range pictures {
			tiles[i] = t
			tiles[i].Queries = r.Images[i].Queries[a.Name]
		}
		im, err := report.Grid("queries under "+a.Name, tiles)
		if err != nil {
			return err
		}
		if err := create("allocation-"+a.Name+".png", func(w io.Writer) error { return png.Encode(w, im) }); err != nil {
			return err
		}
	}
	if err := create("report.json", func(w io.Writer) error { return json.NewEncoder(w).Encode(r) }); err != nil {
		return err
	}
	if err := create("allocators.csv", func(w io.Writer) error { return allocatorsCSV(w, r) }); err != nil {
		return err
	}
	if err := create("images.csv", func(w io.Writer) error { return imagesCSV(w, r) }); err != nil {
		return err
	}
	return create("report.html", page.Write)
}

// page is report.html.
func (r *Allocation) page(x *train.Experiment, version string, pictures []report.Tile) (*report.AllocationReport,
	error) {
	raw, err := config.Marshal(x.Config)
	if err != nil {
		return nil, err
	}
	c := x.Config
	e := x.Describe(version)
	p := &report.AllocationReport{Title: "Allocation: " + c.Name, Config: string(raw), Env: envFacts(e),
		Lead: fmt.Sprintf("After %s, the queries of %s of %d images, shared out by every allocator at an equal budget.",
			ui.Plural(r.Step, "step", "steps"), ui.Plural(r.Batches, "batch", "batches"), c.Train.BatchSize),
		Facts: report.Facts{{Name: "steps", Value: fmt.Sprint(r.Step)}, {Name: "queries per image and perturbation",
			Value: fmt.Sprint(c.Budget.QueriesPerImage)},
			{Name: "draws per allocator and batch", Value: fmt.Sprint(r.Draws)}, {Name: "directions per image of the probe",
				Value: fmt.Sprint(r.Pairs)},
			{Name: "time of the probe", Value: report.Duration(r.Probe)}}}
	for _, a := range r.Allocators {
		p.Allocators = append(p.Allocators, report.AllocatorRow{Name: a.Name, Predicted: a.Predicted, Measured: a.Measured,
			Lo: a.CI95[0], Hi: a.CI95[1],
			Cosine: orNone(a.Cosine), Seconds: a.Seconds, Queries: a.Queries, Bias: orNaN(a.Bias)})
	}
	for _, s := range r.Sites {
		p.Sites = append(p.Sites, report.SiteRow{Name: s.Name, Noise: orNaN(s.Noise), Share: s.Share,
			Residual: orNaN(s.Residual), Unused: s.Unused, Cosine: orNaN(s.Cosine), Mean: orNaN(s.Mean),
			Unbiased: orNaN(s.Unbiased), Draws: s.Draws})
	}
	for i, im := range r.Images {
		p.Images = append(p.Images, report.AllocatedImage{Tile: pictures[i], Counts: im.Queries})
	}
	for _, a := range r.Allocators {
		if path := r.Paths[a.Name]; len(path) > 0 {
			l := report.Learned{Of: a.Name + " allocator", Params: runs.Named(allocator.Learned(a.Name), len(path[0].Values))}
			for _, w := range path {
				l.Points = append(l.Points, report.ParamPoint{Step: w.Step, Values: w.Values})
			}
			p.Learned = append(p.Learned, l)
		}
	}
	return p, nil
}

func orNaN(v *float64) float64 {
	if v == nil {
		return math.NaN()
	}
	return *v
}

// orNone is a cosine, NaN where it is 0: of a loss without a gradient to compare with.
func orNone(v float64) float64 {
	if v == 0 {
		return math.NaN()
	}
	return v
}

// envFacts is where numbers come from, for a page.
func envFacts(e runs.Env) report.Facts {
	return report.Facts{{Name: "version", Value: e.Version}, {Name: "Go", Value: e.Go},
		{Name: "system", Value: e.OS + "/" + e.Arch}, {Name: "processor", Value: e.CPU},
		{Name: "cores", Value: fmt.Sprint(e.Cores)}, {Name: "kernel", Value: e.Kernel},
		{Name: "threads", Value: fmt.Sprint(e.Threads)}, {Name: "device", Value: e.Device},
		{Name: "seed", Value: fmt.Sprint(e.Seed)}, {Name: "checksum of the data", Value: e.Checksum}}
}

func allocatorsCSV(w io.Writer, r *Allocation) error {
	head := []string{"allocator", "predicted_ratio", "measured_ratio", "ci95_lo", "ci95_hi", "cosine_bp", "bias_squared",
		"seconds", "queries"}
	var rows [][]string
	num := func(v float64) string { // empty where the draws do not say it
		if math.IsNaN(v) {
			return ""
		}
		return fmt.Sprintf("%.6f", v)
	}
	for _, a := range r.Allocators {
		rows = append(rows, []string{a.Name, num(a.Predicted), num(a.Measured), num(a.CI95[0]), num(a.CI95[1]),
			num(a.Cosine), num(orNaN(a.Bias)), fmt.Sprintf("%.9f", a.Seconds), fmt.Sprint(a.Queries)})
	}
	return report.CSV(w, head, rows)
}

func imagesCSV(w io.Writer, r *Allocation) error {
	head := []string{"path", "label", "loss"}
	for _, a := range r.Allocators {
		head = append(head, a.Name)
	}
	var rows [][]string
	for _, im := range r.Images {
		row := []string{im.Path, im.Label, fmt.Sprintf("%.6f", im.Loss)}
		for _, a := range r.Allocators {
			row = append(row, fmt.Sprint(im.Queries[a.Name]))
		}
		rows = append(rows, row)
	}
	return report.CSV(w, head, rows)
}

// pictures are the images of the report in their order.
func pictures(x *train.Experiment, r *Allocation) ([]report.Tile, error) {
	var out []report.Tile
	for _, im := range r.Images {
		pic, err := x.TrainData.Image(im.Index)
		if err != nil {
			return nil, err
		}
		out = append(out, report.Tile{Image: toImage(pic), Label: im.Label, Path: im.Path, Loss: im.Loss})
	}
	return out, nil
}

func toImage(p *data.Image) image.Image {
	im := image.NewRGBA(image.Rect(0, 0, p.Width, p.Height))
	for i := range p.Width * p.Height {
		copy(im.Pix[4*i:], p.Pix[3*i:3*i+3])
		im.Pix[4*i+3] = 0xff
	}
	return im
}
