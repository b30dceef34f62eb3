package oip

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/flops-vit/flops/internal/prometheus"
)

// Why inferences are refused, as metrics and logs name it.
const (
	wrong    = "wrong"   // what was sent is no request that can be answered
	large    = "large"   // more bytes than Limits.Body
	busy     = "busy"    // more at once than Limits.AtOnce
	overdue  = "overdue" // later than Limits.Time
	left     = "left"    // the client did not wait
	faulty   = "failed"  // the model failed
	unsent   = "unsent"  // the answer did not reach the client
	idHeader = "X-Request-Id"
)

var reasons = []string{wrong, large, busy, overdue, left, faulty, unsent}

// requestID is the client's own where it sent one that is fit for a line of a log,
// else a new one. Both the answer and the log have it.
func requestID(r *http.Request) string {
	id := r.Header.Get(idHeader)
	odd := func(c rune) bool {
		return (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && !strings.ContainsRune("-_.:", c)
	}
	if id == "" || len(id) > 64 || strings.ContainsFunc(id, odd) {
		return rand.Text()[:16]
	}
	return id
}

// visit is one inference, from its first byte to its line in the log.
type visit struct {
	id     string
	began  time.Time
	bytes  int           // of its body, unpacked
	images int           // 0 until they are known
	waited time.Duration // for its turn at the model
	model  time.Duration // that the model took
}

// why is the reason of a failure.
func why(err error) string {
	var ref *refusal
	if !errors.As(err, &ref) {
		return faulty
	}
	return ref.why
}

// finish counts a visit and writes its line.
func (h *Handler) finish(v *visit, r *http.Request, status int, err error) {
	h.times.Since(v.began)
	level, attrs := slog.LevelInfo, []slog.Attr{slog.String("id", v.id), slog.String("from", r.RemoteAddr),
		slog.Int("status", status), slog.Int("images", v.images), slog.Int("bytes", v.bytes),
		slog.Float64("waited", v.waited.Seconds()), slog.Float64("model", v.model.Seconds()),
		slog.Float64("seconds", time.Since(v.began).Seconds())}
	if err != nil {
		level = slog.LevelWarn
		if status >= http.StatusInternalServerError {
			level = slog.LevelError
		}
		attrs = append(attrs, slog.String("why", why(err)), slog.String("error", err.Error()))
	}
	h.log.LogAttrs(context.WithoutCancel(r.Context()), level, "infer", attrs...)
}

// writeMetrics writes what the server has done and does, for Prometheus.
func (h *Handler) writeMetrics(w io.Writer) {
	s := h.Stats()
	values := map[string]float64{"flops_requests_total": float64(s.Requests), "flops_images_total": float64(s.Images),
		"flops_requests_failed_total": float64(s.Failed), "flops_requests_under_way": float64(len(h.places))}
	h.mu.Lock()
	for _, why := range reasons {
		values[fmt.Sprintf("flops_requests_refused_total{why=%q}", why)] = float64(h.refused[why])
	}
	h.mu.Unlock()
	prometheus.Write(w, values, h.times, h.modelTimes)
}
