package cluster

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/testkit"
	"github.com/flops-vit/flops/internal/uierr"
)

// certificates writes a certificate authority, and a server's certificate by it for this
// machine.
func certificates(t *testing.T) (ca, cert, key string) {
	t.Helper()
	dir := t.TempDir()
	write := func(name, kind string, b []byte) string {
		path := filepath.Join(dir, name)
		testkit.Must(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}), 0o600))
		return path
	}
	root, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	testkit.Must(t, err)
	of := func(n int64) *x509.Certificate {
		return &x509.Certificate{SerialNumber: big.NewInt(n), Subject: pkix.Name{CommonName: "flops test"},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true}
	}
	top := of(1)
	top.IsCA, top.KeyUsage = true, x509.KeyUsageCertSign
	raw, err := x509.CreateCertificate(rand.Reader, top, top, root.Public(), root)
	testkit.Must(t, err)
	ca = write("ca.pem", "CERTIFICATE", raw)
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	testkit.Must(t, err)
	leaf := of(2)
	leaf.IPAddresses, leaf.ExtKeyUsage = []net.IP{net.IPv4(127, 0, 0, 1)}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	raw, err = x509.CreateCertificate(rand.Reader, leaf, top, own.Public(), root)
	testkit.Must(t, err)
	cert = write("cert.pem", "CERTIFICATE", raw)
	raw, err = x509.MarshalECPrivateKey(own)
	testkit.Must(t, err)
	return ca, cert, write("key.pem", "EC PRIVATE KEY", raw)
}

// TestTLS: a server with a certificate lets in who trusts its authority; who does not is
// told so, and what goes over the wire cannot be read.
func TestTLS(t *testing.T) {
	t.Parallel()
	ca, cert, key := certificates(t)
	c := tiny()
	want := alone(t, c)
	c.Cluster.Work, c.Cluster.CertFile, c.Cluster.KeyFile = false, cert, key
	p := begin(t, c, filepath.Join(t.TempDir(), "run"), Options{})
	if !strings.HasPrefix(p.c.URL(), "tls://") {
		t.Errorf("the run is at %s", p.c.URL())
	}
	ctx, stop := context.WithTimeout(context.Background(), 10*time.Second)
	defer stop()
	other, _, _ := certificates(t)
	for _, file := range []string{"", other} {
		for _, name := range []string{p.c.Run(), ""} {
			w, err := NewWorker(WorkerOptions{Dial: Dial{URL: p.c.URL(), CAFile: file}, Run: name,
				Local: func(*config.Config) {}})
			testkit.Must(t, err)
			err = w.Work(ctx)
			if e, ok := uierr.As(err); !ok || !strings.Contains(e.Hint, "--ca-file") {
				t.Errorf("CA %q, run %q: %v", file, name, err)
			}
			w.Close()
		}
	}
	if _, err := List(ctx, Dial{URL: p.c.URL()}); !uierr.IsMistake(err) {
		t.Errorf("a list without the authority: %v", err)
	}
	p.dial.CAFile = ca
	p.join(1, nil)
	p.run()
	for _, e := range p.end() {
		t.Error(e)
	}
	same(t, p.dir, want, c.Train.Steps)
}
