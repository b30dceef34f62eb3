package remote

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flops-vit/flops/internal/oip"
)

func TestDialRefuses(t *testing.T) {
	h, err := oip.NewHandler(small())
	if err != nil {
		t.Fatal(err)
	}
	var meta, ready string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/v2/models/lin" && meta != "":
			fmt.Fprint(w, meta)
		case r.URL.Path == "/v2/health/ready" && ready != "":
			http.Error(w, ready, http.StatusServiceUnavailable)
		default:
			h.ServeHTTP(w, r)
		}
	}))
	defer srv.Close()
	in, out := `{"name":"x","datatype":"FP32","shape":[-1,1,4,3]}`, `{"name":"y","datatype":"FP32","shape":[-1,3]}`
	doc := func(in, out string) string {
		return `{"name":"lin","platform":"","inputs":[` + in + `],"outputs":[` + out + `]}`
	}
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, []byte(" \n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		e           oip.Endpoint
		meta, ready string
		words       []string
	}{
		"no URL":     {e: oip.Endpoint{Name: "lin"}, words: []string{"model.url"}},
		"not HTTP":   {e: oip.Endpoint{URL: "grpc://host:1", Name: "lin"}, words: []string{"model.url"}},
		"password":   {e: oip.Endpoint{URL: "http://me:secret@host", Name: "lin"}, words: []string{"model.url"}},
		"no name":    {e: oip.Endpoint{URL: srv.URL}, words: []string{"model.name"}},
		"other name": {e: oip.Endpoint{URL: srv.URL, Name: "other"}, words: []string{"model.name", `"other"`}},
		"binary":     {e: oip.Endpoint{URL: srv.URL, Name: "lin", Binary: "yes"}, words: []string{"model.binary"}},
		"no token": {e: oip.Endpoint{URL: srv.URL, Name: "lin", TokenEnv: "FLOPS_TEST_UNSET"},
			words: []string{"model.token_env", "FLOPS_TEST_UNSET"}},
		"empty token": {e: oip.Endpoint{URL: srv.URL, Name: "lin", TokenFile: empty}, words: []string{"model.token_file"}},
		"missing token": {e: oip.Endpoint{URL: srv.URL, Name: "lin", TokenFile: empty + "x"},
			words: []string{"model.token_file"}},
		"no CA": {e: oip.Endpoint{URL: srv.URL, Name: "lin", CAFile: empty}, words: []string{"model.ca_file"}},
		"not ready": {e: oip.Endpoint{URL: srv.URL, Name: "lin"}, ready: "loading",
			words: []string{"/v2/health/ready", "503", "loading"}},
		"HTML": {e: oip.Endpoint{URL: srv.URL, Name: "lin"}, meta: "<html>",
			words: []string{"/v2/models/lin", "HTML"}},
		"two inputs": {e: oip.Endpoint{URL: srv.URL, Name: "lin"}, meta: doc(in+","+in, out),
			words: []string{"inputs has 2"}},
		"input type": {e: oip.Endpoint{URL: srv.URL, Name: "lin"}, meta: doc(strings.Replace(in, "FP32", "UINT8", 1), out),
			words: []string{"inputs[0].datatype", "UINT8"}},
		"input rank": {e: oip.Endpoint{URL: srv.URL, Name: "lin"}, meta: doc(strings.Replace(in, "-1,", "", 1), out),
			words: []string{"inputs[0].shape"}},
		"input open": {e: oip.Endpoint{URL: srv.URL, Name: "lin"}, meta: doc(strings.Replace(in, "4", "-1", 1), out),
			words: []string{"inputs[0].shape"}},
		"fixed batch": {e: oip.Endpoint{URL: srv.URL, Name: "lin"}, meta: doc(strings.Replace(in, "-1", "8", 1), out),
			words: []string{"inputs[0].shape", "8"}},
		"output type": {e: oip.Endpoint{URL: srv.URL, Name: "lin"}, meta: doc(in, strings.Replace(out, "FP32", "INT64", 1)),
			words: []string{"outputs[0].datatype", "INT64"}},
		"output open": {e: oip.Endpoint{URL: srv.URL, Name: "lin"}, meta: doc(in, strings.Replace(out, "3]", "-1]", 1)),
			words: []string{"outputs[0].shape"}},
		"output rank": {e: oip.Endpoint{URL: srv.URL, Name: "lin"}, meta: doc(in, strings.Replace(out, "3]", "3,2]", 1)),
			words: []string{"outputs[0].shape"}},
		"two outputs": {e: oip.Endpoint{URL: srv.URL, Name: "lin"}, meta: doc(in, out+","+out),
			words: []string{"outputs has 2"}},
	} {
		t.Run(name, func(t *testing.T) {
			meta, ready = c.meta, c.ready
			_, err := Dial(context.Background(), c.e, quick())
			userError(t, err, c.words...)
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the error holds the password: %v", err)
			}
		})
	}
	meta, ready = doc(in, strings.Replace(out, "3]", "-1]", 1)), ""
	if c := dial(t, oip.Endpoint{URL: srv.URL, Name: "lin", Classes: 3}, quick()); c.Spec().Classes != 3 {
		t.Errorf("classes %d", c.Spec().Classes)
	}
	meta = doc(in, out+","+strings.Replace(out, `"y"`, `"logits"`, 1))
	if c := dial(t, oip.Endpoint{URL: srv.URL, Name: "lin"}, quick()); c.Spec().Output != "logits" {
		t.Errorf("output %q", c.Spec().Output)
	}
	if n := h.Stats(); n.Requests+n.Failed > 0 {
		t.Errorf("the model was asked before the run: %+v", n)
	}
}

// TestTLSAndToken: the certificate is checked, the token arrives, and no error
// ever holds it, not even one that the server echoes.
func TestTLSAndToken(t *testing.T) {
	const token = "hush-hush-0123"
	h, err := oip.NewHandler(small())
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Authorization"); got != "Bearer "+token {
			http.Error(w, fmt.Sprintf("%q is not welcome", got), http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	}))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that are meant to fail
	srv.StartTLS()
	defer srv.Close()
	dir := t.TempDir()
	ca, good, wrong := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "token"), filepath.Join(dir, "wrong")
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	for path, b := range map[string][]byte{ca: cert, good: []byte(token + "\n"), wrong: []byte("not-" + token)} {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := dial(t, oip.Endpoint{URL: srv.URL, Name: "lin", CAFile: ca, TokenFile: good}, quick())
	if n, err := ask(t, c, quick(), 3); err != nil || n.Images != 3 {
		t.Errorf("%+v, %v", n, err)
	}
	t.Setenv("FLOPS_TEST_TOKEN", token)
	dial(t, oip.Endpoint{URL: srv.URL, Name: "lin", CAFile: ca, TokenEnv: "FLOPS_TEST_TOKEN"}, quick())
	_, err = Dial(context.Background(), oip.Endpoint{URL: srv.URL, Name: "lin", TokenFile: good}, quick())
	userError(t, err, "secure connection", srv.URL)
	_, err = Dial(context.Background(), oip.Endpoint{URL: srv.URL, Name: "lin", CAFile: ca, TokenFile: wrong}, quick())
	userError(t, err, "status 403", "[token]")
	if strings.Contains(fmt.Sprintf("%+v %v", err, errors.Unwrap(err)), token) {
		t.Errorf("the error holds the token: %v", err)
	}
}
