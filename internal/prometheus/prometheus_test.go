package prometheus

import (
	"strings"
	"testing"
)

func TestWrite(t *testing.T) {
	var b strings.Builder
	Write(&b, map[string]float64{"flops_step": 3, `flops_bytes_total{way="up"}`: 1 << 40})
	for _, line := range []string{"flops_step 3\n", "flops_bytes_total{way=\"up\"} 1099511627776\n",
		"process_start_time_seconds "} {
		if !strings.Contains(b.String(), line) {
			t.Errorf("no line %q in\n%s", line, b.String())
		}
	}
}
