package cuda

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/flops-vit/flops/internal/uierr"
)

// ordinal reads a device setting: "cuda" is device 0, "cuda:N" device N, and
// "auto" device 0 as well.
func ordinal(spec string) (int, error) {
	if spec == "cuda" || spec == "auto" || spec == "" {
		return 0, nil
	}
	digits, ok := strings.CutPrefix(spec, "cuda:")
	n, err := strconv.Atoi(digits)
	if !ok || err != nil || n < 0 || digits[0] == '+' {
		return 0, uierr.New(fmt.Sprintf("train.device: %q is no CUDA device", spec),
			"write cuda, or cuda:N for the N-th GPU (nvidia-smi -L lists them)")
	}
	return n, nil
}
