package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flops-vit/flops/internal/oip"
	"github.com/flops-vit/flops/internal/testkit"
)

// TestRoundTrip: JSON and binary tensors give the logits that the model gives,
// bit for bit, and both ends count the same.
func TestRoundTrip(t *testing.T) {
	for _, binary := range []string{"auto", "always", "never"} {
		h, srv := served(t)
		c := dial(t, oip.Endpoint{URL: srv.URL + "/", Name: "lin", Binary: binary}, quick())
		if c.Binary() != (binary != "never") {
			t.Errorf("%s: binary tensors %v", binary, c.Binary())
		}
		const n = 23
		x := normals(n*12, 1)
		want, _ := small().Logits(context.Background(), x, n)
		m := NewMeter(0, Counts{})
		p, err := NewPool(c, quick(), m, nil)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]float32, n*3)
		if err := p.Ask(context.Background(), n, images(x, 12), got); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: logits differ", binary)
		}
		if m.Counts() != (Counts{Images: n, Requests: 6}) || h.Stats() != (oip.Stats{Requests: 6, Images: n}) {
			t.Errorf("%s: client %+v, server %+v", binary, m.Counts(), h.Stats())
		}
	}
}

// peer answers like a real server in all but what a test replaces.
func peer(t *testing.T, infer http.HandlerFunc) *httptest.Server {
	t.Helper()
	h, err := oip.NewHandler(small())
	if err != nil {
		t.Fatal(err)
	}
	return testkit.Peer(t, h, infer)
}

func output(fields string) string {
	return `{"model_name":"lin","outputs":[{"name":"logits",` + fields + `}]}`
}

func ask(t *testing.T, c Caller, p Policy, n int) (Counts, error) {
	t.Helper()
	m := NewMeter(0, Counts{})
	pool, err := NewPool(c, p, m, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = pool.Ask(context.Background(), n, images(normals(n*12, 2), 12), make([]float32, 3*n))
	if m.reserved != 0 {
		t.Errorf("%d images stay reserved", m.reserved)
	}
	return m.Counts(), err
}

// TestBadAnswer: an answer that cannot be used is asked for once and counts no query.
func TestBadAnswer(t *testing.T) {
	for name, says := range map[string]struct {
		status int
		body   string
		words  string
	}{
		"other shape": {200, output(`"datatype":"FP32","shape":[2,5],"data":[1,2,3,4,5,6,7,8,9,10]`),
			"outputs[0].shape is [2 5], want [2 3]"},
		"status 400": {400, `{"error":"bad input"}`, "status 400: bad input"},
	} {
		t.Run(name, func(t *testing.T) {
			var calls atomic.Int64
			srv := peer(t, func(w http.ResponseWriter, _ *http.Request) {
				calls.Add(1)
				w.WriteHeader(says.status)
				fmt.Fprint(w, says.body)
			})
			n, err := ask(t, dial(t, oip.Endpoint{URL: srv.URL, Name: "lin"}, quick()), quick(), 2)
			userError(t, err, says.words, "model.url "+srv.URL)
			if calls.Load() != 1 || n.Images != 0 || n.Retried != 2 {
				t.Errorf("asked %d times, counted %+v", calls.Load(), n)
			}
		})
	}
}

// TestTroubleThatPasses: what fails twice and then works is asked again, and
// each image is counted once.
func TestTroubleThatPasses(t *testing.T) {
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	hijack := func(say string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // so that closing is orderly
			c, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				panic(err)
			}
			_, _ = io.WriteString(c, say)
			_ = c.Close()
		}
	}
	for name, f := range map[string]http.HandlerFunc{
		"429":       status(429),
		"500":       status(500),
		"503":       status(503),
		"nothing":   hijack(""),
		"half head": hijack("HTTP/1.1 200 O"),
		"half body": hijack("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" +
			output(`"datatype":"FP32","shape":[2,3],"data":[1,2`)),
		"slower": func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // the server only watches the connection after the body
			<-r.Context().Done()
		},
	} {
		t.Run(name, func(t *testing.T) {
			h, err := oip.NewHandler(small())
			if err != nil {
				t.Fatal(err)
			}
			var calls atomic.Int64
			srv := peer(t, func(w http.ResponseWriter, r *http.Request) {
				if calls.Add(1) <= 2 {
					f(w, r)
					return
				}
				h.ServeHTTP(w, r)
			})
			p := quick()
			c := dial(t, oip.Endpoint{URL: srv.URL, Name: "lin"}, p)
			if name == "slower" {
				p.Timeout = 100 * time.Millisecond
			}
			n, err := ask(t, c, p, 2)
			if err != nil {
				t.Fatal(err)
			}
			if n != (Counts{Images: 2, Requests: 1, Retried: 4}) || h.Stats().Images != 2 {
				t.Errorf("counted %+v, server %+v", n, h.Stats())
			}
			// And when it never passes, the error says what it was.
			calls.Store(-1000)
			p.Retries = 1
			n, err = ask(t, c, p, 2)
			words := map[string]string{"nothing": "connection broke", "half head": "connection broke",
				"half body": "answer broke off", "slower": "model.timeout"}[name]
			userError(t, err, words, "gave up after 2 tries", srv.URL)
			if n.Images != 0 || n.Retried != 4 {
				t.Errorf("counted %+v", n)
			}
		})
	}
}

// TestAskedToWait: a server that says how long it wants to be left alone is, up to
// the patience.
func TestAskedToWait(t *testing.T) {
	var slept []time.Duration
	asked := 0
	r := &retrier{p: Policy{Retries: 5, Timeout: time.Second, Backoff: 10 * time.Millisecond},
		sleep: func(_ context.Context, d time.Duration) error { slept = append(slept, d); return nil }}
	err := r.do(context.Background(), func(context.Context) error {
		asked++
		return &oip.Fault{Err: errors.New("busy"), Kind: oip.Again, After: time.Duration(asked) * 2 * time.Second}
	})
	userError(t, err, "busy", "asks to wait 6s")
	if !slices.Equal(slept, []time.Duration{2 * time.Second, 4 * time.Second}) {
		t.Errorf("slept %v", slept)
	}
}

// TestBackoffGrows: each wait lies between half and all of twice the one before.
func TestBackoffGrows(t *testing.T) {
	var slept []time.Duration
	r := &retrier{p: Policy{Retries: 9, Timeout: time.Second},
		sleep: func(_ context.Context, d time.Duration) error { slept = append(slept, d); return nil }}
	if err := r.do(context.Background(), func(context.Context) error { return oip.TryAgain("no") }); err == nil ||
		len(slept) != 9 {
		t.Fatalf("%v after %d waits", err, len(slept))
	}
	for i, d := range slept {
		full := min(firstBackoff<<i, lastBackoff)
		if d < full/2 || d > full+time.Nanosecond {
			t.Errorf("wait %d is %v, want %v to %v", i, d, full/2, full)
		}
	}
}

// TestServerComesBack: a server that is down is waited for, also between the
// requests of a run, without spending tries.
func TestServerComesBack(t *testing.T) {
	h, err := oip.NewHandler(small())
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	start := func(l net.Listener) *http.Server {
		s := &http.Server{Handler: h}
		go func() { _ = s.Serve(l) }()
		return s
	}
	listen := func() net.Listener {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Error(err)
		}
		return l
	}
	p := quick()
	p.Retries, p.Timeout, p.Backoff = 1, 10*time.Second, 10*time.Millisecond
	var news atomic.Int64
	p.Log = func(string) { news.Add(1) }
	first := make(chan *http.Server, 1)
	time.AfterFunc(150*time.Millisecond, func() { first <- start(listen()) })
	c := dial(t, oip.Endpoint{URL: "http://" + addr, Name: "lin"}, p)
	if news.Load() != 1 {
		t.Errorf("told %d times that the server is waited for", news.Load())
	}
	_ = (<-first).Close()
	second := make(chan *http.Server, 1)
	time.AfterFunc(150*time.Millisecond, func() { second <- start(listen()) })
	n, err := ask(t, c, p, 9)
	if err != nil || n.Images != 9 || h.Stats().Images != 9 {
		t.Errorf("%v, client %+v, server %+v", err, n, h.Stats())
	}
	_ = (<-second).Close()
	p.Timeout = 50 * time.Millisecond
	_, err = ask(t, c, p, 1)
	userError(t, err, "nobody answers", addr)
	if n, _ = ask(t, c, p, 1); n != (Counts{}) {
		t.Errorf("nothing was sent, and counted %+v", n)
	}
}
