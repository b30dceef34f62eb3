package oip

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/flops-vit/flops/internal/uierr"
)

func post(h http.Handler, body []byte, length string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/v2/models/lin/infer", bytes.NewReader(body))
	if length != "" {
		r.Header.Set(headerLength, length)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func input(fields string) []byte {
	return []byte(`{"id":"7","inputs":[{"name":"pixel_values",` + fields + `}]}`)
}

const twelve = `"data":[1,0,0,0,0,0,0,0,0,0,0,0]`

func TestServerAnswers(t *testing.T) {
	m := small()
	m.spec.Labels = []string{"a", "b", "c"}
	m.spec.Preprocessing = &Preprocessing{Mean: []float32{0.485}, Std: []float32{0.1}}
	h, err := NewHandler(m)
	if err != nil {
		t.Fatal(err)
	}
	// Flat and nested arrays are the same tensor.
	for _, data := range []string{twelve, `"data":[[[[1,0,0],[0,0,0],[0,0,0],[0,0,0]]]]`} {
		w := post(h, input(`"datatype":"FP32","shape":[1,1,4,3],`+data), "")
		if want := `{"model_name":"lin","id":"7","outputs":[{"name":"logits","shape":[1,3],"datatype":"FP32","data":[0.1,0.2,0.3]}]}`; w.Code != 200 || w.Body.String() != want {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
	// Bytes in, JSON out; then bytes out as the request's parameters ask.
	for _, params := range []string{"", `"parameters":{"binary_data_output":true},`} {
		doc := `{` + params +
			`"inputs":[{"name":"pixel_values","datatype":"FP32","shape":[1,1,4,3],"parameters":{"binary_data_size":48}}]}`
		x := make([]float32, 12)
		x[0] = 1
		w := post(h, AppendFloats([]byte(doc), x), fmt.Sprint(len(doc)))
		if w.Code != 200 || (w.Header().Get(headerLength) != "") != (params != "") {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		if b := w.Body.Bytes(); params != "" && !bytes.Equal(b[len(b)-12:], AppendFloats(nil, []float32{.1, .2, .3})) {
			t.Errorf("bytes %x", b[len(b)-12:])
		}
	}
	for path, want := range map[string]string{
		"/v2/health/live": `{"live":true}`, "/v2/health/ready": `{"ready":true}`, "/v2/models/lin/ready": `{"ready":true}`,
		"/v2": `{"name":"flops","version":"2","extensions":["binary_tensor_data"]}`,
		"/v2/models/lin": `{"name":"lin","versions":["1"],"platform":"flops","inputs":[{"name":"pixel_values","shape":[-1,1,4,3],"datatype":"FP32","parameters":{"layout":"NCHW","mean":[0.485],"std":[0.1]}}],` +
			`"outputs":[{"name":"logits","shape":[-1,3],"datatype":"FP32","parameters":{"labels":["a","b","c"]}}]}`,
		"/v2/models/lin/versions/1/ready": `{"ready":true}`,
		"/stats":                          `{"requests":4,"images":4,"failed":0}`,
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != 200 || w.Body.String() != want {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != 200 || !strings.Contains(w.Body.String(), "\nflops_requests_total 4\n") {
		t.Errorf("/metrics: %d %s", w.Code, w.Body)
	}
}

func TestServerRefuses(t *testing.T) {
	h, err := NewHandler(small())
	if err != nil {
		t.Fatal(err)
	}
	nan := `{"inputs":[{"name":"pixel_values","datatype":"FP32","shape":[1,1,4,3],"parameters":{"binary_data_size":48}}]}`
	x := make([]float32, 12)
	x[5] = float32(math.NaN())
	cases := []struct {
		body         []byte
		length, want string
	}{
		{nil, "", "no JSON"},
		{[]byte("[]"), "", "no JSON"},
		{[]byte("{}"), "", "inputs: want one"},
		{[]byte(`{"inputs":[{"name":"x"}]}`), "", "named pixel_values"},
		{input(`"datatype":"FP64","shape":[1,1,4,3],` + twelve), "", "inputs[0].datatype"},
		{input(`"datatype":"FP32","shape":[1,1,3,4],` + twelve), "", "inputs[0].shape"},
		{input(`"datatype":"FP32","shape":[12],` + twelve), "", "inputs[0].shape"},
		{input(`"datatype":"FP32","shape":[0,1,4,3],` + twelve), "", "want 1 to 1024 images"},
		{input(`"datatype":"FP32","shape":[9223372036854775807,1,4,3],` + twelve), "", "want 1 to 1024 images"},
		{input(`"datatype":"FP32","shape":[2,1,4,3],` + twelve), "", "inputs[0].data holds 12 numbers"},
		{input(`"datatype":"FP32","shape":[1,1,4,3],"data":[1,2,{"a":3}]`), "", "inputs[0].data"},
		{input(`"datatype":"FP32","shape":[1,1,4,3],"data":[1e60]`), "", "no float32"},
		{input(`"datatype":"FP32","shape":[1,1,4,3],"parameters":{"binary_data_size":48}`), "", "0 bytes follow"},
		{input(`"datatype":"FP32","shape":[1,1,4,3],"parameters":{"shared_memory_region":"r","shared_memory_byte_size":48}`),
			"", "inputs[0].parameters.shared_memory_region"},
		{[]byte(strings.Replace(string(input(`"datatype":"FP32","shape":[1,1,4,3],`+twelve)), `"id"`,
			`"outputs":[{"name":"logits","parameters":{"classification":2}}],"id"`, 1)), "", "outputs[0].parameters.classification"},
		{[]byte("{}"), "3", headerLength},
		{[]byte("{}"), "x", headerLength},
		{AppendFloats([]byte(nan), x), fmt.Sprint(len(nan)), "inputs[0].data holds NaN at 5"},
		{[]byte(`{"inputs":[{"name":"pixel_values","datatype":"FP32","shape":[1,1,4,3],` + twelve +
			`}],"outputs":[{"name":"probs"}]}`), "", "outputs: the only"},
	}
	for _, c := range cases {
		w := post(h, c.body, c.length)
		var doc struct{ Error string }
		if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil || w.Code != 400 || !strings.Contains(doc.Error, c.want) {
			t.Errorf("%.80q: %d %s, want %q", c.body, w.Code, w.Body, c.want)
		}
	}
	if w := post(h, bytes.Repeat([]byte(" "), int(h.limits.Body)+1), ""); w.Code != 413 {
		t.Errorf("too long: %d %s", w.Code, w.Body)
	}
	if s := h.Stats(); s != (Stats{Failed: int64(len(cases)) + 1}) {
		t.Errorf("stats %+v", s)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/v2/models/other/infer", nil))
	if w.Code != 404 {
		t.Errorf("another model: %d", w.Code)
	}
}

// broken answers badly in the way that it says.
type broken struct {
	linear
	how string
}

func (b broken) Logits(ctx context.Context, x []float32, n int) ([]float32, error) {
	switch b.how {
	case "error":
		return nil, errors.New("out of memory")
	case "short":
		return make([]float32, 1), nil
	}
	return []float32{1, float32(math.Inf(1)), 2}, nil
}

func TestServerOfABrokenModel(t *testing.T) {
	for how, want := range map[string]string{"error": "out of memory", "short": "1 logits for 1 images",
		"inf": "+Inf for image 0"} {
		h, err := NewHandler(broken{small(), how})
		if err != nil {
			t.Fatal(err)
		}
		w := post(h, input(`"datatype":"FP32","shape":[1,1,4,3],`+twelve), "")
		if w.Code != 500 || !strings.Contains(w.Body.String(), want) || h.Stats().Failed != 1 {
			t.Errorf("%s: %d %s", how, w.Code, w.Body)
		}
	}
}

// slow answers after a pause, and says when it has begun.
type slow struct {
	linear
	begun chan struct{}
}

func (s slow) Logits(ctx context.Context, x []float32, n int) ([]float32, error) {
	close(s.begun)
	time.Sleep(100 * time.Millisecond)
	return s.linear.Logits(ctx, x, n)
}

// TestServeStopsGracefully: the request under way is answered before the server
// ends, and counted.
func TestServeStopsGracefully(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	addr, ended, stats := make(chan net.Addr, 1), make(chan error, 1), Stats{}
	s := slow{small(), make(chan struct{})}
	go func() {
		ended <- Serve(ctx, "127.0.0.1:0", s,
			ServeOptions{Listening: func(a net.Addr) { addr <- a }, Stopped: func(s Stats) { stats = s }})
	}()
	c := open(t, Endpoint{URL: "http://" + (<-addr).String(), Name: "lin"})
	go func() { <-s.begun; stop() }()
	if err := c.Call(context.Background(), make([]float32, 48), 4, make([]float32, 12)); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil || stats != (Stats{Requests: 1, Images: 4}) {
		t.Errorf("%v, %+v", err, stats)
	}
	err := Serve(context.Background(), "127.0.0.1:999999", small(), ServeOptions{})
	if u, ok := uierr.As(err); !ok || !strings.Contains(u.What, "cannot listen") {
		t.Error(err)
	}
}

// FuzzServer: no body makes the server panic or answer anything but a document.
func FuzzServer(f *testing.F) {
	h, err := NewHandler(small())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(input(`"datatype":"FP32","shape":[1,1,4,3],`+twelve), "")
	f.Add(append(input(`"datatype":"FP32","shape":[1,1,4,3],"parameters":{"binary_data_size":48}`), make([]byte, 48)...),
		"121")
	f.Add([]byte(`{"inputs":[null]}`), "0")
	f.Fuzz(func(t *testing.T, body []byte, length string) {
		w := post(h, body, strings.Map(func(r rune) rune {
			if r < ' ' || r > '~' {
				return -1
			}
			return r
		}, length))
		if w.Code != 200 && w.Code != 400 {
			t.Errorf("status %d", w.Code)
		}
		if w.Header().Get(headerLength) == "" && !json.Valid(w.Body.Bytes()) {
			t.Errorf("answer %q", w.Body)
		}
	})
}

// FuzzAnswer: no answer of a server makes the client panic or hand out logits
// that are not finite.
func FuzzAnswer(f *testing.F) {
	c := &Client{at: "model.url x", end: Endpoint{Name: "lin"}, spec: small().spec}
	c.spec.Output = "logits"
	f.Add([]byte(output(`"datatype":"FP32","shape":[2,3],"data":[[1,2,3],[4,5,6]]`)), "")
	f.Add([]byte(output(`"datatype":"FP32","shape":[2,3],"parameters":{"binary_data_size":24}`)+
		strings.Repeat("\x00", 24)), "119")
	f.Add([]byte("<html>"), "-1")
	f.Fuzz(func(t *testing.T, body []byte, length string) {
		a := &reply{body: body, header: http.Header{}}
		if length != "" {
			a.header.Set(headerLength, length)
		}
		v, err := c.logits(a, 2)
		if err == nil && (len(v) != 6 || notFinite(v) >= 0) {
			t.Errorf("logits %v", v)
		}
	})
}
