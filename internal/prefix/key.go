package prefix

import (
	"fmt"

	"github.com/flops-vit/flops/internal/uierr"
)

// Key is what records are made of: files of other keys are not used.
type Key struct {
	Data        string `json:"data"`        // checksum of the images
	Weights     string `json:"weights"`     // checksum of the part of the network that makes the records
	Preparation string `json:"preparation"` // checksum of how images are prepared and augmented
	Kernel      string `json:"kernel"`      // what multiplies matrices, whose sums round each in their own way
	Records     int    `json:"records"`
	Width       int    `json:"width"` // numbers of a record
}

// refuse says what of a file is not this key's.
func (k Key) refuse(path string, file Key) error {
	why := ""
	switch {
	case file.Data != k.Data:
		why = fmt.Sprintf("belongs to other data (checksum %.12s, here %.12s)", file.Data, k.Data)
	case file.Weights != k.Weights:
		why = fmt.Sprintf("belongs to other weights (checksum %.12s, here %.12s)", file.Weights, k.Weights)
	case file.Preparation != k.Preparation:
		why = fmt.Sprintf("belongs to images that were prepared otherwise (checksum %.12s, here %.12s)", file.Preparation,
			k.Preparation)
	case file.Kernel != k.Kernel:
		why = fmt.Sprintf("was made by %s, and here it is %s, which rounds otherwise", file.Kernel, k.Kernel)
	case file != k:
		why = fmt.Sprintf("has %d records of %d numbers, and here it is %d of %d", file.Records, file.Width,
			k.Records, k.Width)
	default:
		return nil
	}
	return uierr.New(path+": "+why, "remove the file, or name another folder in train.cache_dir")
}
