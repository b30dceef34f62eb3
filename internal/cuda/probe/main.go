// Command probe says whether this build can use a CUDA device: it lists the
// one asked for and its memory, or says in one line why there is none and exits
// with status 2. It is what CI runs to see that a program built with the tag
// gpu starts on a machine without a driver.
package main

import (
	"fmt"
	"os"

	"github.com/flops-vit/flops/internal/cuda"
	"github.com/flops-vit/flops/internal/uierr"
)

func main() {
	spec := "cuda"
	if len(os.Args) > 1 {
		spec = os.Args[1]
	}
	if err := probe(spec); err != nil {
		fmt.Fprintln(os.Stderr, "flops: error:", err)
		if u, ok := uierr.As(err); ok {
			fmt.Fprintln(os.Stderr, "flops: hint:", u.Hint)
			os.Exit(2)
		}
		os.Exit(1)
	}
}

func probe(spec string) error {
	d, err := cuda.OpenDriver(spec)
	if err != nil {
		return err
	}
	free, total, err := d.Memory()
	if err != nil {
		return err
	}
	fmt.Printf("%s: %s, %.1f of %.1f GiB free\n", spec, d.Name(), float64(free)/(1<<30), float64(total)/(1<<30))
	return d.Close()
}
