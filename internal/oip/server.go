package oip

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/flops-vit/flops/internal/prometheus"
	"github.com/flops-vit/flops/internal/uierr"
)

// Predictor answers images with logits. A server calls it from one goroutine at
// a time.
type Predictor interface {
	Spec() Spec
	// Logits answers n images (n×Pixels values, finite) with n×Classes logits.
	Logits(ctx context.Context, images []float32, n int) ([]float32, error)
}

// Stats is what a server has done, as GET /stats answers it.
type Stats struct {
	Requests int64 `json:"requests"` // inferences answered
	Images   int64 `json:"images"`   // in them
	Failed   int64 `json:"failed"`   // inferences refused or broken
}

// DefaultBatch is the largest request that a server takes unless its Spec
// says otherwise.
const DefaultBatch = 1024

// The names of the tensors of a model that does not name them.
const (
	usualInput  = "pixel_values"
	usualOutput = "logits"
)

// theVersion is the only version of a served model, which a path may name.
const theVersion = "1"

// Handler serves one model by the Open Inference Protocol: /v2, /v2/health/live
// and ready, /v2/models/NAME with ready and infer (JSON and binary tensors, plain
// or compressed), the same below /versions/1, /stats and /metrics.
// Requests wait for their turn at the predictor.
type Handler struct {
	model  Predictor
	spec   Spec
	meta   Metadata
	limits Limits
	places chan struct{} // held by the inferences under way
	turn   chan struct{} // held by the one that the model answers
	log    *slog.Logger

	mu      sync.Mutex
	stats   Stats
	refused map[string]int64 // by reason

	times, modelTimes *prometheus.Times
	mux               http.ServeMux
}

// NewHandler is a Handler with the usual limits that keeps no log.
func NewHandler(p Predictor) (*Handler, error) { return newHandler(p, ServeOptions{}) }

// newHandler checks the model's Spec, filling in the usual names of tensors.
func newHandler(p Predictor, o ServeOptions) (*Handler, error) {
	s := p.Spec()
	if s.Name == "" || s.Pixels() < 1 || s.Classes < 1 {
		return nil, fmt.Errorf("oip: cannot serve model %q of %d×%d×%d and %d classes", s.Name,
			s.Channels, s.Height, s.Width, s.Classes)
	}
	if s.Input == "" {
		s.Input = usualInput
	}
	if s.Output == "" {
		s.Output = usualOutput
	}
	if s.MaxBatch == 0 {
		s.MaxBatch = DefaultBatch
	}
	l := o.Limits.withDefaults(s)
	h := &Handler{model: p, spec: s, meta: s.Metadata(), limits: l, places: make(chan struct{}, l.AtOnce),
		turn: make(chan struct{}, 1), log: o.Log, refused: map[string]int64{},
		times: prometheus.NewTimes("flops_request_seconds"), modelTimes: prometheus.NewTimes("flops_model_seconds")}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	h.route("GET /v2", func(w http.ResponseWriter, _ *http.Request) {
		answerJSON(w, http.StatusOK, serverMetadata{Name: "flops", Version: "2", Extensions: []string{binaryExtension}})
	})
	h.route("GET /v2/health/live", says("live"))
	h.route("GET /v2/health/ready", says("ready"))
	for _, at := range []string{"/v2/models/{model}", "/v2/models/{model}/versions/{version}"} {
		h.route("GET "+at, func(w http.ResponseWriter, _ *http.Request) { answerJSON(w, http.StatusOK, h.meta) })
		h.route("GET "+at+"/ready", says("ready"))
		h.route("POST "+at+"/infer", h.infer)
	}
	h.route("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", prometheus.ContentType)
		h.writeMetrics(w)
	})
	h.route("GET /stats", func(w http.ResponseWriter, _ *http.Request) { answerJSON(w, http.StatusOK, h.Stats()) })
	h.mux.HandleFunc("/", h.unknown)
	return h, nil
}

// route answers a pattern, for this model alone where it names one.
func (h *Handler) route(pattern string, f http.HandlerFunc) {
	h.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		if m := r.PathValue("model"); m != "" && m != h.spec.Name {
			h.unknown(w, r)
			return
		}
		if v := r.PathValue("version"); v != "" && v != theVersion {
			answerError(w, http.StatusNotFound,
				fmt.Errorf("no version %s of %s here; it has version %s", v, h.spec.Name, theVersion))
			return
		}
		f(w, r)
	})
}

func (h *Handler) unknown(w http.ResponseWriter, r *http.Request) {
	answerError(w, http.StatusNotFound, fmt.Errorf("no %s %s here; the model is %s", r.Method, r.URL.Path, h.spec.Name))
}

func says(what string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		answerJSON(w, http.StatusOK, map[string]bool{what: true})
	}
}

// Stats is what the handler has done so far.
func (h *Handler) Stats() Stats {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.stats
}

// ServeHTTP answers one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

func answerJSON(w http.ResponseWriter, status int, doc any) {
	b, err := json.Marshal(doc)
	if err != nil {
		status, b = http.StatusInternalServerError, []byte(`{"error":"the answer cannot be written"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", fmt.Sprint(len(b)))
	w.WriteHeader(status)
	_, _ = w.Write(b) // a client that is gone needs no answer
}

func answerError(w http.ResponseWriter, status int, err error) {
	answerJSON(w, status, map[string]string{"error": err.Error()})
}

// ServeOptions of Serve.
type ServeOptions struct {
	Limits    Limits
	Log       *slog.Logger   // gets a line for every inference; nil: none
	Listening func(net.Addr) // told once the address is bound
	Stopped   func(Stats)    // told what was done, at the end
}

// shutdownGrace is how long requests under way may take when the server is told
// to stop.
const shutdownGrace = 15 * time.Second

// Serve answers on addr until ctx is done, then lets the requests under way
// finish.
func Serve(ctx context.Context, addr string, p Predictor, o ServeOptions) error {
	h, err := newHandler(p, o)
	if err != nil {
		return err
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return uierr.Wrap(err, fmt.Sprintf("cannot listen on %s: %v", addr, err),
			"give another address, as in 127.0.0.1:8000")
	}
	if o.Listening != nil {
		o.Listening(l.Addr())
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 1 << 16, ErrorLog: slog.NewLogLogger(h.log.Handler(), slog.LevelWarn)}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	select {
	case err = <-done:
	case <-ctx.Done():
		h.log.Info("stopping", "under_way", len(h.places))
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
		defer cancel()
		if err = srv.Shutdown(late); err != nil {
			err = errors.Join(fmt.Errorf("requests were cut off: %w", err), srv.Close())
		}
		<-done
	}
	if o.Stopped != nil {
		o.Stopped(h.Stats())
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
