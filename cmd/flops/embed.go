package main

import (
	"fmt"
	"strings"

	"github.com/flops-vit/flops/internal/embed"
	"github.com/flops-vit/flops/internal/uierr"
	"github.com/spf13/cobra"
)

// embedFlags are those of 'flops embed'.
type embedFlags struct {
	configFlags
	model, folder, split, layer, output string
	precision, words                    string // --precision, and what is said of it
	texts, file                         string // --texts, and the file that it names
	prompts                             promptFlags
	classes                             nameList
	width, batch                        int
	seed                                uint64
}

func embedCmd() *cobra.Command {
	var f embedFlags
	c := &cobra.Command{
		Use: "embed --output FILE", Short: "Write embeddings of images, or texts to align with",
		Args: cobra.MaximumNArgs(1),
		Long: `Writes embeddings with an id each, in the format that the file's name ends
with: .safetensors, .npy (ids in FILE.ids.txt) or .parquet.

With --model, those of the images of --data or of the experiment's data, under
the id by which a contrastive run pairs them, such as test/cat/0001.png.
--layer says what of the model: cls, the first token after the last norm; mean,
that of the patches; pooled, the row that a classifier reads; last, all rows
one after another; or projection, the model's own or what a contrastive run
made of the classifier (auto: the projection where there is one, else pooled).

With --model and --texts FILE, those of a CLIP's or SigLIP's text tower, as the
library's get_text_features: of each line of FILE under the line itself, or of
--classes, unit vectors that average those of every --prompt.

With --texts alone, stand-ins for the output of a text encoder that the
experiment needs: with objective.pairing image the words that describe each
drawn image (data.kind shapes) as ones among zeros; with class, or with
--classes and no experiment, fixed orthogonal vectors that a seed and the
class's name decide.`,
		Example: `  flops embed --model runs/cifar5/checkpoints/step-75 --data photos \
    --output photos.npy
  flops embed --texts --config configs/shapes-align.yaml
  flops embed --texts --classes cat,dog --width 16 --output classes.safetensors
  flops embed --model models/clip --texts captions.txt --output captions.npy`,
		RunE: func(c *cobra.Command, args []string) error {
			if err := f.nameTexts(args); err != nil {
				return err
			}
			s, err := f.make(c.Context(), warner(c))
			if err != nil {
				return err
			}
			if err := embed.Write(f.output, s); err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%d embeddings of width %d in %s%s\n", s.Len(), s.Width, f.output, f.words)
			return err
		},
	}
	f.add(c)
	addPrecision(c, &f.precision)
	c.Flags().StringVar(&f.model, "model", "", "model folder in Hugging Face layout, or a checkpoint")
	c.Flags().StringVar(&f.folder, "data", "", "folder of images: class folders, or such a folder for each split")
	c.Flags().StringVar(&f.split, "split", "test", "train, validation or test")
	offerSplits(c)
	c.Flags().StringVar(&f.layer, "layer", "auto", strings.Join(layers, ", "))
	offer(c, "layer", layers...)
	c.Flags().StringVarP(&f.output, "output", "o", "", "file to write (--texts with an experiment: objective.embeddings)")
	c.Flags().StringVar(&f.texts, "texts", "",
		"write embeddings of texts: of a file's lines (- for the input) with --model")
	c.Flags().Lookup("texts").NoOptDefVal = alone
	f.prompts.addPrompts(c)
	c.Flags().Var(&f.classes, "classes", "--texts: names of the classes, where there is no experiment")
	c.Flags().IntVar(&f.width, "width", 16, "--texts: width of the vectors of classes")
	c.Flags().Uint64Var(&f.seed, "seed", 0, "--texts: seed of the vectors of classes")
	c.Flags().IntVar(&f.batch, "batch", 64, "images at a time")
	return c
}

// alone is --texts without a file.
const alone = "true"

// nameTexts takes the file of --texts, which may also stand after it.
func (f *embedFlags) nameTexts(args []string) error {
	if f.texts != "" && f.texts != alone && f.texts != "false" {
		f.file, f.texts = f.texts, alone
	}
	if f.texts == "false" {
		f.texts = ""
	}
	if len(args) == 1 {
		if f.texts == "" || f.file != "" {
			return uierr.New(fmt.Sprintf("embed does not know what to do with %q", args[0]),
				"give --texts FILE for texts, --data DIR for images")
		}
		f.file = args[0]
	}
	switch {
	case f.file != "" && f.model == "":
		return uierr.New("--texts "+f.file+": which model reads them is not said", "give --model DIR: a CLIP or SigLIP")
	case f.folder != "" && f.texts != "":
		return uierr.New("--texts: and --data "+f.folder+" too", "give --texts for texts, or --data DIR for images")
	case f.file != "" && len(f.classes) > 0:
		return uierr.New("--texts "+f.file+": and --classes too", "give one of them")
	case f.prompts.prompts != nil && len(f.classes) == 0:
		return uierr.New("--prompt: of which classes is not said", "give --classes NAME,NAME")
	}
	return f.classes.check("--classes")
}
