package cluster

import (
	"fmt"
	"net"
	"net/url"
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

// outside are NATS servers with JetStream that know each other.
type outside struct {
	options []*server.Options
	servers []*server.Server
}

func startOutside(t *testing.T, n int) (*outside, string) {
	t.Helper()
	ports := freePorts(t, 2*n)
	var routes []*url.URL
	var urls []string
	for i := range n {
		routes = append(routes, &url.URL{Scheme: "nats", Host: fmt.Sprintf("127.0.0.1:%d", ports[n+i])})
		urls = append(urls, fmt.Sprintf("nats://127.0.0.1:%d", ports[i]))
	}
	o := &outside{servers: make([]*server.Server, n)}
	for i := range n {
		opt := &server.Options{ServerName: fmt.Sprint("s", i), Host: "127.0.0.1", Port: ports[i], JetStream: true,
			StoreDir: t.TempDir(), NoSigs: true, NoLog: true, Routes: routes}
		opt.Cluster.Name, opt.Cluster.Host, opt.Cluster.Port = "test", "127.0.0.1", ports[n+i]
		o.options = append(o.options, opt)
		o.start(t, i)
	}
	t.Cleanup(func() {
		for _, s := range o.servers {
			s.Shutdown()
			s.WaitForShutdown()
		}
	})
	for range 200 { // until one of them leads
		for _, s := range o.servers {
			if s.JetStreamIsLeader() {
				return o, strings.Join(urls, ",")
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("no server leads")
	return nil, ""
}

func (o *outside) start(t *testing.T, i int) {
	t.Helper()
	s, err := server.NewServer(o.options[i].Clone())
	testkit.Must(t, err)
	s.Start()
	o.servers[i] = s
}

// TestServersOutside: three NATS servers carry a run, one of them is gone in the middle
// of it and comes back, and the run is what it is alone.
func TestServersOutside(t *testing.T) {
	if testing.Short() {
		t.Skip("starts three servers")
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
			o.servers[0].Shutdown()
			o.servers[0].WaitForShutdown()
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
