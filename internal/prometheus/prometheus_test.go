package prometheus

import (
	"strings"
	"testing"
	"time"
)

func TestWrite(t *testing.T) {
	var b strings.Builder
	times := NewTimes("flops_request_seconds")
	times.Since(time.Now().Add(-40 * time.Millisecond))
	Write(&b, map[string]float64{"flops_step": 3, `flops_bytes_total{way="up"}`: 1 << 40}, times)
	for _, line := range []string{"flops_step 3\n", "flops_bytes_total{way=\"up\"} 1099511627776\n",
		"process_start_time_seconds ", "flops_request_seconds_bucket{le=\"0.025\"} 0\n",
		"flops_request_seconds_bucket{le=\"60\"} 1\n", "flops_request_seconds_count 1\n"} {
		if !strings.Contains(b.String(), line) {
			t.Errorf("no line %q in\n%s", line, b.String())
		}
	}
}
