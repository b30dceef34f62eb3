package imagefile

import "github.com/flops-vit/flops/internal/uierr"

// variant is the error of a file in a variety of its kind that is not read.
func variant(what string) error {
	return uierr.New("this is "+what+", which is not read", "convert it to PNG: magick IN OUT.png")
}
