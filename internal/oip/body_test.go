package oip

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestServerUnpacks: a compressed request is the same request, and one that
// unpacks to more than a request may hold is stopped there.
func TestServerUnpacks(t *testing.T) {
	h, err := NewHandler(small())
	if err != nil {
		t.Fatal(err)
	}
	packers := map[string]func(io.Writer) io.WriteCloser{
		"gzip":    func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) },
		"deflate": func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) },
		"Deflate": func(w io.Writer) io.WriteCloser { f, _ := flate.NewWriter(w, 6); return f },
	}
	body := input(`"datatype":"FP32","shape":[1,1,4,3],` + twelve)
	send := func(encoding string, body []byte) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodPost, "/v2/models/lin/versions/1/infer", bytes.NewReader(body))
		r.Header.Set("Content-Encoding", encoding)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	for encoding, pack := range packers {
		packed := func(b []byte) []byte {
			var to bytes.Buffer
			w := pack(&to)
			if _, err := w.Write(b); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			return to.Bytes()
		}
		if w := send(encoding, packed(body)); w.Code != 200 || !strings.Contains(w.Body.String(), `"data":[0.1,0.2,0.3]`) {
			t.Errorf("%s: %d %s", encoding, w.Code, w.Body)
		}
		if w := send(encoding, packed(bytes.Repeat([]byte(" "), int(h.limits.Body)+1))); w.Code != 413 {
			t.Errorf("%s bomb: %d %s", encoding, w.Code, w.Body)
		}
		half := packed(body)[:40]
		if w := send(encoding, half); w.Code != 400 || !strings.Contains(w.Body.String(), "broke off") {
			t.Errorf("%s cut: %d %s", encoding, w.Code, w.Body)
		}
	}
	if w := send("br", body); w.Code != 415 || !strings.Contains(w.Body.String(), "Content-Encoding") {
		t.Errorf("br: %d %s", w.Code, w.Body)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v2/models/lin/versions/2", nil))
	if w.Code != 404 || !strings.Contains(w.Body.String(), "version 1") {
		t.Errorf("version 2: %d %s", w.Code, w.Body)
	}
}
