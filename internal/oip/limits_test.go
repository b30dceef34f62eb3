package oip

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

// held answers when it is let.
type held struct {
	linear
	begun chan struct{} // gets one for each call
	let   chan struct{} // closed: all are answered
}

func (m held) Logits(ctx context.Context, x []float32, n int) ([]float32, error) {
	m.begun <- struct{}{}
	<-m.let
	return m.linear.Logits(ctx, x, n)
}

// limited is a server of a held model with limits, and what it logged.
func limited(t *testing.T, l Limits) (s *httptest.Server, m held, log *bytes.Buffer, h *Handler) {
	t.Helper()
	m, log = held{small(), make(chan struct{}, 9), make(chan struct{})}, &bytes.Buffer{}
	h, err := newHandler(m, ServeOptions{Limits: l, Log: slog.New(slog.NewJSONHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	s = httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s, m, log, h
}

// send posts one image and gives the status, the header and the error that it names.
func send(t *testing.T, s *httptest.Server, id string) (int, http.Header, string) {
	t.Helper()
	body := bytes.NewReader(input(`"datatype":"FP32","shape":[1,1,4,3],` + twelve))
	r, err := http.NewRequest(http.MethodPost, s.URL+"/v2/models/lin/infer", body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set(idHeader, id)
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Error(err)
		return 0, nil, ""
	}
	defer a.Body.Close()
	var doc struct{ Error string }
	if err := json.NewDecoder(a.Body).Decode(&doc); err != nil {
		t.Error(err)
	}
	return a.StatusCode, a.Header, doc.Error
}

// TestServerAtOnce: beyond the places, inferences are told to come again, and those
// that have one wait for the model and are answered.
func TestServerAtOnce(t *testing.T) {
	server, m, log, h := limited(t, Limits{AtOnce: 2})
	done := make(chan int)
	go func() { s, _, _ := send(t, server, "first"); done <- s }()
	<-m.begun
	go func() { s, _, _ := send(t, server, "second"); done <- s }()
	for len(h.places) < 2 {
		time.Sleep(time.Millisecond)
	}
	status, head, why := send(t, server, "third")
	if status != 503 || head.Get("Retry-After") != "1" || !strings.Contains(why, "2 requests are under way") {
		t.Errorf("the third: %d %v %q", status, head, why)
	}
	close(m.let)
	if a, b := <-done, <-done; a != 200 || b != 200 {
		t.Errorf("the others: %d, %d", a, b)
	}
	server.Close() // the log's lines come after the answers
	if s := h.Stats(); s != (Stats{Requests: 2, Images: 2, Failed: 1}) {
		t.Errorf("stats %+v", s)
	}
	var out strings.Builder
	h.writeMetrics(&out)
	for _, line := range []string{`flops_requests_refused_total{why="busy"} 1`, "flops_requests_under_way 0",
		"flops_request_seconds_count 3", "flops_model_seconds_count 2"} {
		if !strings.Contains(out.String(), line+"\n") {
			t.Errorf("no %q in the metrics", line)
		}
	}
	for _, want := range []string{`"id":"third"`, `"why":"busy"`, `"status":503`, `"id":"first"`} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no %s in the log\n%s", want, log)
		}
	}
}

// TestServerTime: who waits too long for the model is told to come again, and what
// the model has begun is answered however long it takes.
func TestServerTime(t *testing.T) {
	server, m, _, h := limited(t, Limits{Time: 50 * time.Millisecond})
	done := make(chan int)
	go func() { s, _, _ := send(t, server, ""); done <- s }()
	<-m.begun
	status, head, why := send(t, server, "")
	if status != 503 || head.Get("Retry-After") == "" || !strings.Contains(why, "within 50ms") {
		t.Errorf("the second: %d %q", status, why)
	}
	close(m.let)
	if s := <-done; s != 200 || h.refused[overdue] != 1 {
		t.Errorf("the first: %d; refused %v", s, h.refused)
	}
	// A body that does not come.
	c, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "POST /v2/models/lin/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	if b, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(b), "HTTP/1.1 408 ") {
		t.Errorf("a body that stops: %v %q", err, b)
	}
}

// TestServerRequestID: the answer has the client's own id, and a new one where that
// is not fit for a line of a log.
func TestServerRequestID(t *testing.T) {
	server, m, log, _ := limited(t, Limits{})
	close(m.let)
	_, head, _ := send(t, server, "run-7:step.3")
	if got := head.Get(idHeader); got != "run-7:step.3" {
		t.Errorf("id %q", got)
	}
	var ids []string
	for _, id := range []string{"", "a b", `x"y`, strings.Repeat("z", 65)} {
		_, head, _ := send(t, server, id)
		ids = append(ids, head.Get(idHeader))
	}
	server.Close() // the log's lines come after the answers
	for i, id := range ids {
		if len(id) != 16 || slices.Contains(ids[:i], id) || !strings.Contains(log.String(), `"id":"`+id+`"`) {
			t.Errorf("id %q\n%s", id, log)
		}
	}
}
