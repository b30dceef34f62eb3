package testkit

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// Peer is a server that answers as h does, but for what is posted, which infer answers.
func Peer(t testing.TB, h http.Handler, infer http.HandlerFunc) *httptest.Server {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			infer(w, r)
			return
		}
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	return srv
}
