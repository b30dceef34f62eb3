// Package prometheus writes counts in Prometheus' text format.
package prometheus

import (
	"io"

	"github.com/VictoriaMetrics/metrics"
)

// ContentType is that of what Write writes.
const ContentType = "text/plain; version=0.0.4; charset=utf-8"

// Write writes values by their names, labels included, as gauges, then times, and the
// process's own.
func Write(w io.Writer, values map[string]float64, times ...*Times) {
	set := metrics.NewSet()
	for name, v := range values {
		set.NewGauge(name, func() float64 { return v })
	}
	set.WritePrometheus(w)
	for _, t := range times {
		t.set.WritePrometheus(w)
	}
	metrics.WriteProcessMetrics(w)
}
