package train

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flops-vit/flops/internal/oip"
	"github.com/flops-vit/flops/internal/uierr"
)

// restarted serves a handler and, once it has answered so many images, closes
// every connection, is gone for a while and comes back at the same address.
type restarted struct {
	t       *testing.T
	h       *oip.Handler
	addr    string
	after   []int64
	srv     *http.Server
	times   int
	asked   chan struct{}
	over    chan struct{} // closed to end watch; asked stays open for requests that are still under way
	stopped chan struct{}
}

func restartServer(t *testing.T, h *oip.Handler, after ...int64) *restarted {
	r := &restarted{t: t, h: h, after: after, asked: make(chan struct{}, 1), over: make(chan struct{}),
		stopped: make(chan struct{})}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.addr = l.Addr().String()
	r.start(l)
	go r.watch()
	return r
}

func (r *restarted) start(l net.Listener) {
	r.srv = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		r.h.ServeHTTP(w, q)
		select {
		case r.asked <- struct{}{}:
		default:
		}
	})}
	go func(s *http.Server) { _ = s.Serve(l) }(r.srv)
}

func (r *restarted) watch() {
	defer close(r.stopped)
	for {
		select {
		case <-r.over:
			return
		case <-r.asked:
		}
		if r.times == len(r.after) || r.h.Stats().Images < r.after[r.times] {
			continue
		}
		r.times++
		_ = r.srv.Close()
		time.Sleep(100 * time.Millisecond)
		l, err := net.Listen("tcp", r.addr)
		if err != nil {
			r.t.Error(err)
			return
		}
		r.start(l)
	}
}

func (r *restarted) close() {
	close(r.over)
	<-r.stopped
	_ = r.srv.Close()
}

// A server that is killed twice in mid-run, with requests under way, and
// started again each time: the run goes on to the end, and the ledger is the
// number of images whose answers left the server.
func TestServerRestartedInMidRun(t *testing.T) {
	h, err := oip.NewHandler(sums{})
	if err != nil {
		t.Fatal(err)
	}
	r := restartServer(t, h, 120, 300)
	last := remoteRun(t, "http://"+r.addr, t.TempDir(), 500, false)
	r.close()
	if r.times != 2 {
		t.Fatalf("the server was restarted %d times", r.times)
	}
	if got, served := last.Ledger.Total().Queries, h.Stats().Images; got != served || got < 440 || got > 500 {
		t.Errorf("ledger %d, server %d, ceiling 500", got, served)
	}
	// The same run with a server that never was away ends with the same weights.
	_, url := serveModel(t, sums{})
	want := remoteRun(t, url, t.TempDir(), 500, false)
	for i, v := range want.X.Model.Params()[0].Data {
		if last.X.Model.Params()[0].Data[i] != v {
			t.Fatalf("value %d of the frame is %v, without the restarts %v", i, last.X.Model.Params()[0].Data[i], v)
		}
	}
}

// A server that turns hostile in mid-run: the run ends with an error that names
// the field, what was asked is kept, and the run goes on from there when the
// server is sound again, as if nothing had been.
func TestHostileServerInMidRun(t *testing.T) {
	says := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}
	}
	row := strings.TrimSuffix(strings.Repeat("1,", 4*8), ",")
	ok := `{"outputs":[{"name":"logits","datatype":"FP32","shape":[%s],"data":[%s]}]}`
	for name, c := range map[string]struct {
		f    http.HandlerFunc
		word string
	}{
		"other shape": {says(200, fmt.Sprintf(ok, "8,5", row)), "outputs[0].shape"},
		"NaN":         {says(200, fmt.Sprintf(ok, "8,4", "NaN"+row[1:])), "NaN"},
		"HTML":        {says(200, "<!DOCTYPE html><html><body>Welcome</body></html>"), "HTML"},
		"half a body": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "500")
			fmt.Fprint(w, `{"outputs":[{"name":"logits",`)
		}, "gave up after 2 tries"},
		"nothing": {func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }, "gave up after 2 tries"},
		"refusal": {says(400, `{"error":"no more of this"}`), "no more of this"},
		"too slow": {func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
			case <-time.After(5 * time.Second):
			}
		}, "model.timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, err := oip.NewHandler(sums{})
			if err != nil {
				t.Fatal(err)
			}
			var hostile atomic.Bool
			var inferences atomic.Int64
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "/infer") && inferences.Add(1) > 30 && hostile.Load() {
					c.f(w, r)
					return
				}
				h.ServeHTTP(w, r)
			}))
			defer s.Close()
			hostile.Store(true)
			dir := t.TempDir()
			_, err = tryRemoteRun(t, s.URL, dir, 500, false)
			e, ok := uierr.As(err)
			if !ok || !strings.Contains(e.What+e.Hint, c.word) {
				t.Fatalf("%v is no mistake that says %q", err, c.word)
			}
			if n := len(saved(t, dir)); n < 2 {
				t.Fatalf("%d checkpoints are there", n)
			}
			hostile.Store(false)
			last, err := tryRemoteRun(t, s.URL, dir, 500, true)
			if err != nil {
				t.Fatal(err)
			}
			if got, served := last.Ledger.Total().Queries, h.Stats().Images; got != served || got > 500 {
				t.Errorf("ledger %d, server %d: the resumed run asked again", got, served)
			}
		})
	}
}

func saved(t *testing.T, dir string) []string {
	t.Helper()
	d, err := filepath.Glob(filepath.Join(dir, "checkpoints", "step-*"))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Killed at every step: a run whose checkpoints after an early one are lost, as
// by a kill before they were written, asks nothing again and ends the same. The
// answers that the kill tore in half are asked again, and only they.
func TestRemoteRunKilled(t *testing.T) {
	h, url := serveModel(t, sums{})
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	asked := int64(0)
	x := openRemoteRun(t, url, 500)
	_, err := Run(ctx, x, RunOptions{Dir: dir, Watch: silent{}, Each: func(tr *Trainer) error {
		if tr.Step == 5 {
			asked = h.Stats().Images
			return context.Canceled // nothing of this step is saved
		}
		return nil
	}})
	x.Close()
	if err == nil || asked == 0 {
		t.Fatalf("%v after %d images", err, asked)
	}
	answers := filepath.Join(dir, "answers.bin")
	info, err := os.Stat(answers)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(answers, info.Size()-5); err != nil {
		t.Fatal(err)
	}
	last, err := tryRemoteRun(t, url, dir, 500, true)
	if err != nil {
		t.Fatal(err)
	}
	again := openRemoteRun(t, url, 500)
	defer again.Close()
	if _, err := Replay(context.Background(), again, dir, last.Step); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(again.Model.Params()[0].Data, last.X.Model.Params()[0].Data) {
		t.Error("the replayed frame is not the run's")
	}
	if got, served := last.Ledger.Total().Queries, h.Stats().Images; got != served || got > 500 {
		t.Errorf("ledger %d, server %d: one answer was torn and asked twice", got, served)
	}
}
