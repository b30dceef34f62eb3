package cluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/uierr"
)

// connection is one to NATS.
type connection struct {
	nc     *nats.Conn
	js     jetstream.JetStream
	server *server.Server // embedded; nil: it is elsewhere
	url    string         // of the embedded server, for others
	keyed  bool           // the embedded server wants keys

	mu      sync.Mutex
	number  int
	pending map[int]context.CancelFunc // of requests under way
}

// again ends the requests that are under way: what they asked or were answered is lost with
// a connection that was broken, and they are made anew rather than waited for.
func (k *connection) again(*nats.Conn) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, end := range k.pending {
		end()
	}
}

// under notes how a request that is under way is ended, until done.
func (k *connection) under(end context.CancelFunc) (done func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.number++
	n := k.number
	k.pending[n] = end
	return func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		delete(k.pending, n)
	}
}

// Embedded is the value of cluster.nats for a server in this process.
const Embedded = "embedded"

// serverBytes bounds one message of the embedded server.
const serverBytes = 8 << 20

// openServer starts the server of a run and connects to it without a socket.
func openServer(c config.Cluster, dir, run string, warn func(string)) (*connection, error) {
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return nil, uierr.Wrap(err, fmt.Sprintf("cluster.listen: %v", err), "give host:port, such as 127.0.0.1:4222")
	}
	number, err := strconv.Atoi(port)
	if err != nil || number > 65535 {
		return nil, uierr.New(fmt.Sprintf("cluster.listen: %s is no port", port), "give host:port, such as 127.0.0.1:4222")
	}
	if number == 0 {
		number = server.RANDOM_PORT
	}
	if host == "" {
		host = "0.0.0.0"
	}
	o := &server.Options{ServerName: "flops-" + run, Host: host, Port: number, JetStream: true,
		StoreDir: filepath.Join(dir, folder), NoSigs: true, NoLog: true, MaxPayload: serverBytes}
	var own []nats.Option
	if !loopback(host) || c.Key != "" {
		keys, err := openKeys(filepath.Join(dir, folder), run)
		if err != nil {
			return nil, err
		}
		o.Nkeys = keys.users
		own = append(own, keys.coordinator)
		if warn != nil && c.CertFile == "" && !loopback(host) {
			warn("cluster: others on the network can read what is sent; cluster.cert_file and key_file make it TLS")
		}
	}
	if c.CertFile != "" || c.KeyFile != "" {
		pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
		if err != nil {
			return nil, uierr.Wrap(err, fmt.Sprintf("cluster.cert_file: %v", err),
				"give the PEM files of a certificate and its key")
		}
		o.TLSConfig = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
		o.TLS = true
	}
	if err := os.MkdirAll(o.StoreDir, 0o700); err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	l, err := net.Listen("tcp", net.JoinHostPort(host, fmt.Sprint(max(0, number))))
	if err != nil { // the server would end the process
		return nil, uierr.Wrap(err, fmt.Sprintf("cluster.listen: %v", err), "choose another port, or 0 for any that is free")
	}
	_, free, _ := net.SplitHostPort(l.Addr().String())
	if o.Port, err = strconv.Atoi(free); err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	if err := l.Close(); err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	s, err := server.NewServer(o)
	if err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		s.Shutdown()
		return nil, uierr.New("cluster.listen: no server can be started at "+c.Listen, "choose another port")
	}
	k, err := connect("flops train", "", append(own, nats.InProcessServer(s))...)
	if err != nil {
		s.Shutdown()
		return nil, err
	}
	scheme := "nats"
	if o.TLS {
		scheme = "tls"
	}
	k.keyed = len(o.Nkeys) > 0
	k.server, k.url = s, scheme+"://"+net.JoinHostPort(host, free)
	return k, nil
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// Dial says how a process reaches NATS servers.
type Dial struct {
	URL    string
	Key    string // file with an nkey seed
	Creds  string // credentials file
	CAFile string
}

// open connects, and goes on trying where no server answers yet.
func (d Dial) open(name string) (*connection, error) {
	var own []nats.Option
	if d.Key != "" {
		o, err := nats.NkeyOptionFromSeed(d.Key)
		if err != nil {
			return nil, uierr.Wrap(err, fmt.Sprintf("--key %s: %v", d.Key, err),
				"give the worker.nk of the run folder's cluster/")
		}
		own = append(own, o)
	}
	if d.Creds != "" {
		if _, err := os.Stat(d.Creds); err != nil {
			return nil, uierr.Wrap(err, fmt.Sprintf("cluster.creds: %v", err), "give a credentials file of the NATS servers")
		}
		own = append(own, nats.UserCredentials(d.Creds))
	}
	if d.CAFile != "" {
		pem, err := os.ReadFile(d.CAFile)
		if err != nil {
			return nil, uierr.Wrap(err, fmt.Sprintf("cluster.ca_file: %v", err), "give a PEM file")
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, uierr.New("cluster.ca_file: "+d.CAFile+" has no certificate", "give a PEM file")
		}
		own = append(own, nats.Secure(&tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}))
	}
	return connect(name, d.URL, own...)
}

// inbox is where answers to a process of a name go: a viewer, whose key lets it look at the
// table of runs alone, cannot listen where weights go to workers.
func inbox(name string) string {
	if name == viewer {
		return viewerInbox
	}
	return workerInbox
}

const (
	viewer      = "flops cluster"
	viewerInbox = "_INBOX.flops-viewer"
	workerInbox = "_INBOX.flops"
)

func connect(name, url string, own ...nats.Option) (*connection, error) {
	k := &connection{pending: map[int]context.CancelFunc{}}
	own = append(own, nats.Name(name), nats.ReconnectHandler(k.again), nats.RetryOnFailedConnect(true),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(200*time.Millisecond),
		nats.ReconnectJitter(50*time.Millisecond, 50*time.Millisecond), nats.Timeout(3*time.Second),
		nats.PingInterval(2*time.Second), nats.MaxPingsOutstanding(2), nats.ReconnectBufSize(-1),
		nats.IgnoreAuthErrorAbort(), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}), // LastError has it
		nats.CustomInboxPrefix(inbox(name)))
	nc, err := nats.Connect(url, own...)
	if err != nil {
		if errors.Is(err, nats.ErrAuthorization) {
			return nil, uierr.Wrap(err, "the NATS server does not let this process in", "give the run's key by --key")
		}
		return nil, uierr.Wrap(err, fmt.Sprintf("NATS at %s: %v", url, err), "start the server, or mend the address")
	}
	js, err := jetstream.New(nc)
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("cluster: %w", err)
	}
	k.nc, k.js = nc, js
	return k, nil
}

// replicas is on how many servers something is kept, so that one of them may be gone.
func (k *connection) replicas() int {
	if k.server == nil && len(k.nc.Servers()) >= 3 {
		return 3
	}
	return 1
}

// refused says that the server knows this process not, or this process the server not.
func (k *connection) refused() error {
	err := k.nc.LastError()
	var unknown *tls.CertificateVerificationError
	if errors.As(err, &unknown) {
		return uierr.Wrap(err, fmt.Sprintf("the NATS server's certificate is not to be trusted: %v", unknown.Err),
			"give --ca-file the certificate of its authority, and the server's name as that has it")
	}
	if err != nil && (errors.Is(err, nats.ErrAuthorization) || errors.Is(err, nats.ErrPermissionViolation) ||
		strings.Contains(strings.ToLower(err.Error()), "authorization")) {
		return uierr.Wrap(err, "the NATS server does not let this process in",
			"give --key the worker.nk of the run folder's cluster/, or --creds what the servers want")
	}
	return nil
}

// request sends and waits for the reply.
func (k *connection) request(ctx context.Context, subject string, body []byte, wait time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	defer k.under(cancel)()
	m, err := k.nc.RequestWithContext(ctx, subject, seal(body))
	if err != nil {
		return nil, err
	}
	if m.Data = unseal(m.Data); m.Data == nil {
		return nil, errMessage
	}
	return m.Data, nil
}

// hear has f called with every whole message of a subject.
func (k *connection) hear(subject string, f func(*nats.Msg)) (*nats.Subscription, error) {
	return k.nc.Subscribe(subject, func(m *nats.Msg) {
		if m.Data = unseal(m.Data); m.Data != nil {
			f(m)
		}
	})
}

// respond answers a request; who does not hear it asks again.
func respond(m *nats.Msg, b []byte) { _ = m.Respond(seal(b)) }

// respondJSON answers with a value.
func respondJSON(m *nats.Msg, v any) {
	if b, err := json.Marshal(v); err == nil {
		respond(m, b)
	}
}

// close ends the connection, and the server with it.
func (k *connection) close() {
	k.nc.Close()
	if k.server != nil {
		k.server.Shutdown()
		k.server.WaitForShutdown()
	}
}
