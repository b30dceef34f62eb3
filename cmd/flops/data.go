package main

import (
	"encoding/json"
	"fmt"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/data"
	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/network"
	"github.com/flops-vit/flops/internal/ui"
	"github.com/flops-vit/flops/internal/uierr"
	"github.com/spf13/cobra"
)

const (
	sheetWidth  = 960 // pixels of a contact sheet
	brokenShown = 10  // broken files that are named; --json names all
)

func dataCmd() *cobra.Command {
	c := &cobra.Command{Use: "data", Short: "Look into datasets and convert them", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	c.AddCommand(dataInspectCmd(), dataExportCmd())
	return c
}

// dataFlags name a dataset without an experiment around it.
type dataFlags struct{ kind, train, test string }

func (f *dataFlags) add(c *cobra.Command) {
	d := config.Default().Data
	c.Flags().StringVar(&f.kind, "kind", "", "kind of the dataset (default: guessed)")
	c.Flags().StringVar(&f.train, "train", d.Train, "name of the training split")
	c.Flags().StringVar(&f.test, "test", d.Test, "name of the test split")
	offer(c, "kind", data.Kinds()...)
}

// config is the dataset at a path. A kind that is not given is guessed.
func (f *dataFlags) config(path string) (config.Data, error) {
	d := config.Default().Data
	d.Kind, d.Path, d.Train, d.Test = f.kind, path, f.train, f.test
	if f.kind == "" && path == "" {
		return d, uierr.New("no dataset is named", "give --path DIR")
	}
	var err error
	if f.kind == "" {
		d.Kind, err = data.Guess(path)
	}
	return d, err
}

func dataInspectCmd() *cobra.Command {
	var f dataFlags
	var sheet string
	var asJSON bool
	c := &cobra.Command{Use: "inspect PATH", Short: "Say what a dataset holds and which of its files are broken",
		Args: cobra.ExactArgs(1),
		Long: `Decodes every image of every split that is there. Says which files are broken,
and what is left out and why. Ends with status 2 if a split cannot be used.`,
		Example: "  flops data inspect data/cifar5 --sheet sheet.png",
		RunE: func(c *cobra.Command, args []string) error {
			d, err := f.config(args[0])
			if err != nil {
				return err
			}
			r, err := data.Inspect(d)
			if err != nil {
				return err
			}
			if asJSON {
				err = printJSON(c.OutOrStdout(), r)
			} else {
				err = printDataset(c.OutOrStdout(), r)
			}
			if err == nil {
				err = r.Err()
			}
			if sheet == "" || err != nil {
				return err
			}
			if err := writeSheet(d, sheet); err != nil || asJSON {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "contact sheet %s\n", sheet)
			return err
		}}
	f.add(c)
	c.Flags().StringVar(&sheet, "sheet", "", "write examples of each class of the training split to this PNG file")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	must(c.MarkFlagFilename("sheet", "png"))
	return c
}

// writeSheet draws the training split, or the test split where there is no
// other.
func writeSheet(d config.Data, path string) error {
	d.OnBad = "skip"
	ds, err := data.Open(d, data.Train)
	if err != nil {
		var e error
		if ds, e = data.Open(d, data.Test); e != nil {
			return err
		}
	}
	defer ds.Close()
	var b strings.Builder
	if err := png.Encode(&b, data.ContactSheet(ds, sheetWidth)); err != nil {
		return err
	}
	return fsys.WriteFile(fsys.OS, path, []byte(b.String()))
}

func printDataset(out io.Writer, r data.Report) error {
	var w strings.Builder
	fmt.Fprintf(&w, "%s: %s\n", r.Path, r.Kind)
	for _, s := range r.Splits {
		if s.Error != "" {
			fmt.Fprintf(&w, "\n%s: cannot be used: %s\n", s.Name, s.Error)
		} else {
			fmt.Fprintf(&w, "\n%s: %d images, %d classes, %s\n", s.Name, s.Images, len(s.Classes), strings.Join(s.Formats, ", "))
		}
		printSplit(&w, s)
	}
	_, err := io.WriteString(out, w.String())
	return err
}

// printSplit prints what a split holds and what it leaves out.
func printSplit(w io.Writer, s data.SplitReport) {
	for _, k := range s.Classes {
		fmt.Fprintf(w, "  %-24s %d\n", k.Class, k.Images)
	}
	if len(s.Extra) > 0 {
		fmt.Fprintf(w, "  classes that the training split lacks: %s\n", network.Names(s.Extra))
	}
	for i, z := range s.Sizes {
		if i == 3 {
			fmt.Fprintf(w, "  and %d more sizes\n", len(s.Sizes)-i)
			break
		}
		fmt.Fprintf(w, "  %dx%d pixels: %d images\n", z.Width, z.Height, z.Images)
	}
	for i, b := range s.Broken {
		if i == brokenShown {
			fmt.Fprintf(w, "  and %d more broken; --json names them all\n", len(s.Broken)-i)
			break
		}
		fmt.Fprintf(w, "  broken: %s: %s\n", b.Path, b.Reason)
	}
	for _, l := range s.LeftOut {
		fmt.Fprintf(w, "  left out: %v\n", l)
	}
}

func dataExportCmd() *cobra.Command {
	var f dataFlags
	var path, output, onBad string
	var classes nameList
	c := &cobra.Command{Use: "export --path PATH --output DIR",
		Short: "Write a dataset, or some of its classes, as class folders", Args: cobra.NoArgs,
		Long: `Writes each split that is there to a folder of its name. The bytes of JPEG files
are kept, everything else becomes PNG, so no pixel changes.`,
		Example: "  flops data export --kind cifar10 --path data/cifar-10-batches-bin \\\n" +
			"    --classes airplane,bird,deer,frog,ship --output data/cifar10-5",
		RunE: func(c *cobra.Command, _ []string) error {
			if output == "" {
				return uierr.New("no folder to write to", "give --output DIR")
			}
			if err := classes.check("--classes"); err != nil {
				return err
			}
			d, err := f.config(path)
			if err != nil {
				return err
			}
			d.Classes, d.OnBad = classes, onBad
			for _, p := range data.Parts(d) {
				name := p.Name
				switch name {
				case d.Train:
					name = data.Train
				case d.Test:
					name = data.Test
				}
				n, err := exportPart(p, name, output, warner(c))
				if err != nil {
					return err
				}
				if _, err := fmt.Fprintf(c.OutOrStdout(), "%s: %s images\n", filepath.Join(output, name),
					ui.Count(int64(n))); err != nil {
					return err
				}
			}
			return nil
		}}
	f.add(c)
	c.Flags().StringVar(&path, "path", "", "folder or file of the dataset")
	c.Flags().Var(&classes, "classes", "write these classes only, parted by commas; a name with one is quoted")
	c.Flags().StringVarP(&output, "output", "o", "", "folder that gets SPLIT/CLASS/ for each split")
	c.Flags().StringVar(&onBad, "on-bad", "refuse",
		"refuse or skip: what to do about images that cannot be read or have no label")
	offer(c, "on-bad", config.Choices("data.on_bad")...)
	return c
}

// exportPart writes a split to DIR/NAME and returns its number of images.
func exportPart(p data.Part, name, dir string, warn func(string)) (int, error) {
	ds, err := data.Open(p.Config, p.Split)
	if err != nil {
		return 0, err
	}
	defer ds.Close()
	if err := data.Export(ds, dir, name); err != nil {
		return 0, err
	}
	tellExport(warn, ds, p)
	return ds.Len(), nil
}

// tellExport warns of what class folders do not keep of a split.
func tellExport(warn func(string), ds data.Dataset, p data.Part) {
	for from, to := range data.Renamed(ds) {
		warn(fmt.Sprintf("%s: class %q is written as %q", p.Name, from, to))
	}
	var empty []string
	for c, n := range data.Counts(ds) {
		if n == 0 {
			empty = append(empty, ds.Classes()[c])
		}
	}
	if len(empty) > 0 && p.Split == data.Train {
		warn(fmt.Sprintf("%s: no images and so no folders of the classes %s", p.Name, network.Names(empty)))
	}
	for _, b := range data.Skipped(ds) {
		warn(fmt.Sprintf("%s: left out %s (%s)", p.Name, b.Path, b.Reason))
	}
	for _, l := range data.LeftOut(ds) {
		if l.Lost {
			warn(fmt.Sprintf("%s: left out %v", p.Name, l))
		}
	}
}

// printJSON prints a value for other programs.
func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// emptyFolder refuses to write over what is there.
func emptyFolder(dir string) error {
	if e, err := os.ReadDir(dir); err == nil && len(e) > 0 {
		return uierr.New(fmt.Sprintf("%s: the folder is not empty", dir), "name another folder")
	}
	return nil
}
