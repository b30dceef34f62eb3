package remote

import (
	"context"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flops-vit/flops/internal/oip"
	"github.com/flops-vit/flops/internal/testkit"
	"github.com/flops-vit/flops/internal/uierr"
	"github.com/flops-vit/flops/noise"
)

// linear is testkit.Linear as a model.
type linear struct{ spec oip.Spec }

func small() linear {
	return linear{oip.Spec{Name: "lin", Channels: 1, Height: 4, Width: 3, Classes: 3}}
}

func (l linear) Spec() oip.Spec { return l.spec }

func (l linear) Logits(_ context.Context, x []float32, n int) ([]float32, error) {
	return testkit.Linear(x, n, l.spec.Pixels(), l.spec.Classes), nil
}

func (l linear) Call(ctx context.Context, x []float32, n int, out []float32) error {
	v, err := l.Logits(ctx, x, n)
	copy(out, v)
	return err
}

func (l linear) Close() error { return nil }

func normals(n int, id uint32) []float32 {
	g := noise.Rand(1, noise.Test, id)
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(g.Normal())
	}
	return v
}

// quick is a policy whose waits take no time worth mentioning.
func quick() Policy {
	return Policy{InFlight: 3, MaxBatch: 4, Retries: 3, Timeout: 5 * time.Second, Backoff: time.Millisecond}
}

func images(x []float32, px int) Images {
	return func(i int, dst []float32) { copy(dst, x[i*px:(i+1)*px]) }
}

// memory is Answers in a map that counts what it is told twice.
type memory struct {
	mu    sync.Mutex
	m     map[Key][]float32
	twice int
}

func newMemory() *memory { return &memory{m: map[Key][]float32{}} }

func (a *memory) Get(k Key, out []float32) (bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	v, ok := a.m[k]
	copy(out, v)
	return ok, nil
}

func (a *memory) Asked(int) error { return nil }

func (a *memory) Put(k Key, v []float32) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, ok := a.m[k]; ok {
		a.twice++
	}
	a.m[k] = append([]float32(nil), v...)
	return nil
}

// served is a Handler over the small model behind a test server.
func served(t *testing.T) (*oip.Handler, *httptest.Server) {
	t.Helper()
	h, err := oip.NewHandler(small())
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return h, srv
}

func dial(t *testing.T, e oip.Endpoint, p Policy) *oip.Client {
	t.Helper()
	c, err := Dial(context.Background(), e, p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// userError fails unless err is for the user and names every one of the words.
func userError(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want one of %q", words)
		return
	}
	u, ok := uierr.As(err)
	if !ok || u.Hint == "" {
		t.Errorf("%v (%T) is not for the user", err, err)
		return
	}
	if strings.ContainsAny(u.What, "\n\r") {
		t.Errorf("error of several lines: %q", u.What)
	}
	for _, w := range words {
		if !strings.Contains(u.What, w) {
			t.Errorf("error %q does not name %q", u.What, w)
		}
	}
}
