package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/flops-vit/flops/internal/prometheus"
	"github.com/flops-vit/flops/internal/uierr"
)

// serveMetrics answers GET /metrics in Prometheus' format at an address until the
// function that it returns is called; at none, it starts nothing.
func serveMetrics(addr string, write func(io.Writer)) (end func(), err error) {
	if addr == "" {
		return func() {}, nil
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, uierr.Wrap(err, fmt.Sprintf("--metrics: %v", err), "give host:port, such as 127.0.0.1:9090")
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", prometheus.ContentType)
		write(w)
	})
	s := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			_ = l.Close() // nobody is told: a run does not end for it
		}
	}()
	return func() { _ = s.Close(); <-done }, nil
}
