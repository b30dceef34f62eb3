package main

import (
	"encoding/json"
	"fmt"
	"io"
	"sort"
	"strings"

	"github.com/flops-vit/flops/internal/checkpoint"
	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/hf"
	"github.com/flops-vit/flops/internal/network"
	"github.com/flops-vit/flops/internal/onnx"
	"github.com/flops-vit/flops/internal/safetensors"
	"github.com/flops-vit/flops/internal/ui"
	"github.com/flops-vit/flops/internal/uierr"
	"github.com/flops-vit/flops/internal/vit"
	"github.com/spf13/cobra"
)

func modelCmd() *cobra.Command {
	c := &cobra.Command{Use: "model", Short: "Look into model folders and convert them", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	c.AddCommand(modelInspectCmd(), modelExportCmd())
	return c
}

func modelInspectCmd() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{Use: "inspect DIR", Short: "Say what a model folder holds, from its headers alone",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			dir, err := checkpoint.Pointed(args[0])
			if err != nil {
				return err
			}
			s, err := hf.Inspect(dir)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), s)
			}
			printModel(c.OutOrStdout(), s)
			return nil
		}}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func printModel(w io.Writer, s *hf.Summary) {
	var kinds []string
	for k := range s.DTypes {
		kinds = append(kinds, k)
	}
	sort.Strings(kinds)
	fmt.Fprintf(w, "%s\n", s.Path)
	fmt.Fprintf(w, "files      %s (%d bytes, %s)\n", strings.Join(s.Files, ", "), s.Bytes, strings.Join(kinds, ", "))
	fmt.Fprintf(w, "parameters %s in %d tensors\n", ui.Count(s.Parameters), len(s.Tensors))
	fmt.Fprintf(w, "network    %s: %d blocks, width %d, %d heads, feed-forward %d (%s), %d tokens\n", s.Family,
		s.Layers, s.Hidden, s.Heads, s.MLP, s.Activation, s.Tokens)
	if len(s.Stored) > 0 {
		fmt.Fprintf(w, "positions  stored for %dx%d pixels, interpolated\n", s.Stored[1], s.Stored[0])
	}
	fmt.Fprintf(w, "pooling    %s (embed --layer %s)\n", s.Pooling, strings.Join(s.Shows, ", "))
	if s.Projected > 0 {
		fmt.Fprintf(w, "projection to %d\n", s.Projected)
	}
	fmt.Fprintf(w, "images     %dx%d pixels, %d channels, patches of %d, mean %v, deviation %v\n", s.ImageWidth,
		s.ImageSize, s.Channels, s.PatchSize, s.Mean, s.Std)
	if s.Classes == 0 {
		fmt.Fprintln(w, "classes    none: there is no classifier")
	} else {
		shown := s.Labels[:min(8, len(s.Labels))]
		more := ""
		if len(shown) < len(s.Labels) {
			more = ", ..."
		}
		fmt.Fprintf(w, "classes    %d: %s%s\n", s.Classes, strings.Join(shown, ", "), more)
	}
	if s.Problem != "" {
		fmt.Fprintf(w, "problem    %s\n", s.Problem)
	}
	if len(s.Extra) > 0 {
		fmt.Fprintf(w, "extra      %s\n", network.Names(s.Extra))
	}
	if len(s.Ignored) > 0 {
		fmt.Fprintf(w, "ignored    %s\n", network.Names(s.Ignored))
	}
}

func modelExportCmd() *cobra.Command {
	var dtype string
	var image int
	var adapter string
	c := &cobra.Command{Use: "export DIR OUT", Short: "Write a model folder in another number format or image size",
		Args: cobra.ExactArgs(2),
		Long: `Writes the model in DIR, a Hugging Face folder or a checkpoint of a run, to the
new folder OUT, as transformers, timm or open_clip reads it, whichever it is
of. An OUT that ends with .onnx becomes one file for ONNX Runtime and its like:
the network from pixels (pixel_values, as its preprocessor makes them) to
logits, for any number of images, with preprocessor, labels and family as
metadata. A folder of PEFT's, with adapter_config.json, is the model that it
names with its adapter merged; so are checkpoints of runs with sites.train:
lora or core, and --adapter writes what these have learned alone, as PEFT reads
it: a core with its directions as the adapter of the same rank that it is.
With --image the position embeddings are interpolated to another
image size (bicubic, as transformers does).`,
		Example: "  flops model export runs/cifar5/checkpoints/step-75 model --dtype bf16\n" +
			"  flops model export runs/cifar5/checkpoints/best classifier.onnx\n" +
			"  flops model export runs/lora/checkpoints/best adapter --adapter",
		RunE: func(c *cobra.Command, args []string) error {
			kind := safetensors.DType(strings.ToUpper(dtype))
			switch kind {
			case safetensors.F32, safetensors.F16, safetensors.BF16:
			default:
				return uierr.New(fmt.Sprintf("--dtype %q: not a format that is written", dtype), "use f32, f16 or bf16")
			}
			toONNX := strings.HasSuffix(args[1], ".onnx")
			if !toONNX {
				if err := emptyFolder(args[1]); err != nil {
					return err
				}
			} else if kind != safetensors.F32 {
				return uierr.New("--dtype "+dtype+": an ONNX file is written in f32", "leave out --dtype")
			}
			dir, err := checkpoint.Pointed(args[0])
			if err != nil {
				return err
			}
			if adapter != "" {
				return exportAdapter(c, dir, args[1], adapter, toONNX || kind != safetensors.F32 || c.Flags().Changed("image"))
			}
			m, err := hf.LoadWhole(dir)
			if err == nil && toONNX && m.Classes() == 0 && !m.Config.Headless() { // its outputs are what a classifier would read
				m, err = hf.LoadLayer(dir, vit.LayerPooled)
			}
			if err != nil {
				return err
			}
			if c.Flags().Changed("image") {
				if err := m.Resize(image); err != nil {
					return err
				}
			}
			if toONNX {
				err = writeONNX(args[1], m)
			} else {
				err = hf.Save(fsys.OS, args[1], m, kind)
			}
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "model %s\n", args[1])
			return err
		}}
	c.Flags().StringVar(&dtype, "dtype", "f32", "number format: f32, f16 or bf16")
	c.Flags().IntVar(&image, "image", 0,
		"image size to interpolate the position embeddings to, in pixels (default: the model's)")
	c.Flags().StringVar(&adapter, "adapter", "", "of a run with sites.train: lora or core, write the adapter alone, in\n"+
		"PEFT's layout, with the names of transformers 4, or =5")
	c.Flags().Lookup("adapter").NoOptDefVal = "4"
	offer(c, "adapter", "4", "5")
	offer(c, "dtype", "f32", "f16", "bf16")
	return c
}

// exportAdapter writes the adapter of a checkpoint; other says that more was asked.
func exportAdapter(c *cobra.Command, dir, out, version string, other bool) error {
	if other {
		return uierr.New("--adapter: is written as a folder of float32 numbers, of the image size that the run had",
			"leave out --dtype and --image, and name a folder")
	}
	if version != "4" && version != "5" {
		return uierr.New("--adapter="+version+": no version of transformers whose names are known",
			"use --adapter=4 or --adapter=5")
	}
	m, a, err := network.AdapterOf(dir)
	if err != nil {
		return err
	}
	if err := hf.SaveAdapter(fsys.OS, out, m, a, version == "5"); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "adapter %s\n", out)
	return err
}

// writeONNX writes a model as one file of ONNX.
func writeONNX(path string, m *hf.Model) error {
	l, err := network.FromModel(m)
	if err != nil {
		return err
	}
	pre, err := json.Marshal(l.Pre)
	if err != nil {
		return err
	}
	labels, err := json.Marshal(l.Config.Labels)
	if err != nil {
		return err
	}
	meta := map[string]string{"family": l.Config.Family(), "preprocessor_config": string(pre)}
	if !l.Bare && !l.NewHead {
		meta["labels"] = string(labels)
	}
	return fsys.Write(fsys.OS, path, func(w io.Writer) error { return onnx.Write(w, vit.NewNet(l.Weights), meta) })
}
