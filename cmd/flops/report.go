package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/pages"
	"github.com/flops-vit/flops/internal/uierr"
	"github.com/spf13/cobra"
)

func reportCmd() *cobra.Command {
	var output string
	var images int
	c := &cobra.Command{
		Use: "report DIR", Short: "Write a run as one HTML page", Args: cobra.ExactArgs(1),
		Long: `Reads a run folder and writes one HTML page that needs no network: the curves,
where the queries went, the allocation over time, the hardest images of the
validation split or, where there is none, of the test split, the resolved config
and the environment. The images are found with the last checkpoint, which costs
forwards of that split; a model that can only be called is not asked for them.`,
		Example: `  flops report runs/cifar5
  flops report runs/cifar5 --output page.html --images 0`,
		RunE: func(c *cobra.Command, a []string) error {
			if images < 0 {
				return uierr.New(fmt.Sprintf("--images %d", images), "give the number of images to look at, 0 for none")
			}
			if output == "" {
				output = filepath.Join(a[0], "report.html")
			}
			warn := warner(c)
			page, err := pages.Run(c.Context(), a[0], images, warn)
			if err != nil {
				return err
			}
			if err := fsys.WriteOutput(fsys.OS, output, page.Write); errors.Is(err, os.ErrNotExist) {
				return uierr.Wrap(err, fmt.Sprintf("--output %s: there is no such folder", output),
					"name a file that can be written")
			} else if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "report %s\n", output)
			return err
		},
	}
	c.Flags().StringVarP(&output, "output", "o", "", "file to write (default DIR/report.html)")
	c.Flags().IntVar(&images, "images", 2000, "images to look for the hardest among, 0: none")
	return c
}
