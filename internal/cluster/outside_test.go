package cluster

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/flops-vit/flops/internal/testkit"
	"github.com/flops-vit/flops/internal/train"
)

// freePorts are ports of the loopback that nobody had a moment ago.
func freePorts(t *testing.T, n int) (ports []int) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		testkit.Must(t, err)
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports
}

// natsServer is the program of the module that the embedded server is of.
func natsServer(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "nats-server")
	c := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, "github.com/nats-io/nats-server/v2")
	if out, err := c.CombinedOutput(); err != nil {
		t.Skipf("nats-server cannot be built here: %v: %s", err, out)
	}
	said, err := exec.Command(path, "--version").Output()
	if err != nil || !strings.Contains(string(said), server.VERSION) {
		t.Fatalf("nats-server says %q, %v; the embedded one is %s", said, err, server.VERSION)
	}
	return path
}

// outside are processes of NATS servers with JetStream that know each other.
type outside struct {
	program string
	args    [][]string
	servers []*exec.Cmd
}

func startOutside(t *testing.T, n int) (*outside, string) {
	t.Helper()
	o := &outside{program: natsServer(t)}
	ports := freePorts(t, 2*n)
	var routes, urls []string
	for i := range n {
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", ports[n+i]))
		urls = append(urls, fmt.Sprintf("nats://127.0.0.1:%d", ports[i]))
	}
	for i := range n {
		o.args = append(o.args, []string{"-js", "-sd", t.TempDir(), "-a", "127.0.0.1", "-p", fmt.Sprint(ports[i]),
			"-n", fmt.Sprint("s", i), "--cluster_name", "test", "--cluster", routes[i],
			"--routes", strings.Join(routes, ",")})
		o.servers = append(o.servers, nil)
		o.start(t, i)
	}
	t.Cleanup(func() {
		for _, s := range o.servers {
			end(s)
		}
	})
	all := strings.Join(urls, ",")
	k, err := Dial{URL: all}.open("test")
	testkit.Must(t, err)
	defer k.close()
	for range 100 { // until one of them leads
		ctx, stop := context.WithTimeout(context.Background(), 300*time.Millisecond)
		_, err = k.js.AccountInfo(ctx)
		if stop(); err == nil {
			return o, all
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("no server leads: %v", err)
	return nil, ""
}

func (o *outside) start(t *testing.T, i int) {
	t.Helper()
	o.servers[i] = exec.Command(o.program, o.args[i]...)
	testkit.Must(t, o.servers[i].Start())
}

// TestServersOutside: three NATS servers, processes of their own, carry a run; one of them is
// killed in the middle of it and started again, and the run is what it is alone.
func TestServersOutside(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and starts three servers")
	}
	t.Parallel()
	o, urls := startOutside(t, 3)
	c := tiny()
	want := alone(t, c)
	c.Cluster.NATS, c.Cluster.Work = urls, false
	p := begin(t, c, filepath.Join(t.TempDir(), "run"), Options{})
	p.want = 2
	p.each = func(tr *train.Trainer) {
		switch tr.Step {
		case 3:
			end(o.servers[0])
		case 6:
			o.start(t, 0)
		}
	}
	p.join(1, nil)
	p.join(1, nil)
	p.run()
	for _, e := range p.end() {
		t.Error(e)
	}
	same(t, p.dir, want, c.Train.Steps)
}
