package prometheus

import (
	"time"

	"github.com/VictoriaMetrics/metrics"
)

// Times counts durations in buckets, as a histogram of Prometheus.
type Times struct {
	set  *metrics.Set
	hist *metrics.PrometheusHistogram
}

// bounds are those of the buckets, in seconds: from a small network's one image
// to a large one's full request.
var bounds = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}

// NewTimes is a histogram by its name, which ends in _seconds.
func NewTimes(name string) *Times {
	s := metrics.NewSet()
	return &Times{s, s.NewPrometheusHistogramExt(name, bounds)}
}

// Since counts the time from began to now.
func (t *Times) Since(began time.Time) { t.hist.UpdateDuration(began) }
