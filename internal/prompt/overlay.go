package prompt

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/uierr"
)

// Overlay is what is learned over the images of a model that stays as it is.
type Overlay interface {
	// Trained are its numbers.
	Trained() *forward.Param
	// Size is the shape of an image.
	Size() (channels, height, width int)
	// Prepare writes to dst what is kept of an image for all its queries, and Apply
	// writes to dst what the model sees of that with the numbers data, laid out as
	// Trained's. All are of Size.
	Prepare(dst, img []float32)
	Apply(dst, prepared, data []float32)
}

// Kind says which overlay is meant: what a checkpoint must know of it too.
type Kind struct {
	Mode  string // prompt.mode
	Width int    // prompt.width
	Count int    // prompt.count, of those that read it
}

var overlays = map[string]func(k Kind, channels, height, width int) (Overlay, error){}

func registerOverlay(mode string, build func(k Kind, channels, height, width int) (Overlay, error)) {
	overlays[mode] = build
}

// Modes lists the values of prompt.mode.
func Modes() []string { return slices.Sorted(maps.Keys(overlays)) }

// NewOverlay makes an overlay for images of channels×height×width.
func NewOverlay(k Kind, channels, height, width int) (Overlay, error) {
	build := overlays[k.Mode]
	if build == nil {
		return nil, uierr.New(fmt.Sprintf("prompt.mode: no mode %q", k.Mode), "use "+strings.Join(Modes(), ", "))
	}
	return build(k, channels, height, width)
}
