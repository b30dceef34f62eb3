package remote

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/objective"
	"github.com/flops-vit/flops/internal/oip"
	"github.com/flops-vit/flops/internal/prompt"
	"github.com/flops-vit/flops/noise"
)

// startPeer runs the Python server of the shared folder, which fails one request
// in five, and returns its address.
func startPeer(t *testing.T) string {
	shared := os.Getenv("FLOPS_SHARED")
	if shared == "" {
		shared = "../../../shared"
	}
	shared, err := filepath.Abs(shared)
	if err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(shared, "peer", "serve_oip.py")
	if _, err := os.Stat(script); err != nil {
		t.Skip("no peer/serve_oip.py in the shared data (set FLOPS_SHARED), nor a server at FLOPS_PEER_URL")
	}
	python := ""
	for _, p := range []string{os.Getenv("PYTHON"), "python3", "/usr/bin/python3"} {
		if p != "" && exec.Command(p, "-c", "import torch").Run() == nil {
			python = p
			break
		}
	}
	if python == "" {
		t.Skip("no Python with PyTorch for peer/serve_oip.py (set PYTHON)")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(python, script, filepath.Join(shared, "models", "vit-cifar5"), "--port", port, "--fail", "0.2")
	c.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait() // killed: its status says nothing
	})
	url := "http://127.0.0.1:" + port
	for range 300 {
		if r, err := http.Get(url + "/v2/health/ready"); err == nil {
			_ = r.Body.Close()
			return url
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatal("peer/serve_oip.py does not answer after 30 seconds")
	return ""
}

// TestPeer runs against a server that is not ours: one at FLOPS_PEER_URL that
// serves a model named vit over images and answers GET /stats, or the Python
// server of the shared folder. Requests it fails are asked again, and both ends
// count the same.
func TestPeer(t *testing.T) {
	url := os.Getenv("FLOPS_PEER_URL")
	if url == "" {
		url = startPeer(t)
	}
	p := Policy{InFlight: 4, MaxBatch: 16, Retries: 20, Timeout: 30 * time.Second, Backoff: 10 * time.Millisecond}
	c := dial(t, oip.Endpoint{URL: url, Name: "vit"}, p)
	s := c.Spec()
	before := peerStats(t, url)
	frame, err := prompt.NewFrame(prompt.Over, 2, s.Channels, s.Height, s.Width)
	if err != nil {
		t.Fatal(err)
	}
	frame.Param.Grad = make([]float32, len(frame.Param.Data))
	id, err := prompt.Identity(s.Classes, s.Classes)
	if err != nil {
		t.Fatal(err)
	}
	src := noise.Gaussian(1)
	m, err := NewModel(newPool(t, c, p, NewMeter(0, Counts{}), newMemory()), frame, id, objective.CE{}, src)
	if err != nil {
		t.Fatal(err)
	}
	b := &forward.Batch{Size: 32, Inputs: normals(32*s.Pixels(), 1), Labels: make([]int32, 32)}
	ctx := context.Background()
	pass, err := m.Clean(ctx, b, nil)
	if err != nil {
		t.Fatal(err)
	}
	var q []forward.Query
	for i := range b.Size {
		for pair := range 3 {
			q = append(q, forward.Query{Image: int32(i), Pair: int32(pair), Sign: 1},
				forward.Query{Image: int32(i), Pair: int32(pair), Sign: -1})
		}
	}
	if err := pass.Losses(ctx, &forward.Perturbation{Kind: forward.Weights, Params: []int{0},
		Sigma: []float32{.1}}, q, make([]float32, len(q))); err != nil {
		t.Fatal(err)
	}
	after, n := peerStats(t, url), m.Pool().Counts()
	t.Logf("client %+v; server %+v, then %+v", n, before, after)
	if got := after.Images - before.Images; got != n.Images || n.Images != int64(b.Size+len(q)) {
		t.Errorf("the server answered %d images, the ledger has %d, asked for %d", got, n.Images, b.Size+len(q))
	}
	if failed := after.Failed - before.Failed; (failed == 0) != (n.Retried == 0) {
		t.Errorf("the server failed %d requests, %d images were sent again", failed, n.Retried)
	}
}

func peerStats(t *testing.T, url string) (s oip.Stats) {
	t.Helper()
	r, err := http.Get(url + "/stats")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if err := json.NewDecoder(r.Body).Decode(&s); err != nil {
		t.Fatal(err)
	}
	return s
}
