package oip

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// refusal is an error with the status that says whose fault it is, and the reason
// in a word.
type refusal struct {
	status int
	err    error
	why    string
}

func (r *refusal) Error() string { return r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

func bad(format string, a ...any) error {
	return &refusal{http.StatusBadRequest, fmt.Errorf(format, a...), wrong}
}

// infer answers an inference. Answers are counted before they are written, so that a
// client which has one finds it in the stats; one that never reached its client,
// which will ask again, is taken back.
func (h *Handler) infer(w http.ResponseWriter, r *http.Request) {
	v := &visit{id: requestID(r), began: time.Now()}
	w.Header().Set(idHeader, v.id)
	status := http.StatusOK
	var head, tail []byte
	leave, err := h.enter()
	if err == nil {
		defer leave()
		head, tail, err = h.answer(w, r, v)
	}
	h.count(v, 1, err)
	if err != nil {
		status = http.StatusInternalServerError
		var ref *refusal
		if errors.As(err, &ref) {
			status = ref.status
		}
		if status == http.StatusServiceUnavailable {
			w.Header().Set("Retry-After", "1")
		}
		answerError(w, status, err)
	} else if err = h.write(w, head, tail); err != nil {
		h.count(v, -1, nil)
		err = &refusal{status, fmt.Errorf("the answer did not reach the client: %w", err), unsent}
		h.count(v, 1, err)
	}
	h.finish(v, r, status, err)
}

// count adds n visits that ended so.
func (h *Handler) count(v *visit, n int64, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil {
		h.stats.Failed += n
		h.refused[why(err)] += n
		return
	}
	h.stats.Requests += n
	h.stats.Images += n * int64(v.images)
}

// write sends an answer within the limit of time.
func (h *Handler) write(w http.ResponseWriter, head, tail []byte) error {
	w.Header().Set("Content-Type", "application/json")
	if tail != nil {
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set(headerLength, fmt.Sprint(len(head)))
	}
	w.Header().Set("Content-Length", fmt.Sprint(len(head)+len(tail)))
	c := http.NewResponseController(w)
	_ = c.SetWriteDeadline(time.Now().Add(h.limits.Time)) // a recorder of tests has no connection
	_, err := w.Write(append(head, tail...))
	if err = errors.Join(err, c.Flush()); errors.Is(err, http.ErrNotSupported) {
		return nil
	}
	return err
}

// answer reads a request, asks the model and makes the answer's document and, for a
// binary output, its bytes.
func (h *Handler) answer(w http.ResponseWriter, r *http.Request, v *visit) (head, tail []byte, err error) {
	until := v.began.Add(h.limits.Time)
	deadline := http.NewResponseController(w)
	_ = deadline.SetReadDeadline(until) // a recorder of tests has no connection
	body, err := readBody(w, r, h.limits.Body)
	if err != nil {
		return nil, nil, err // the deadline stays: what is left of a body is not waited for
	}
	_ = deadline.SetReadDeadline(time.Time{}) // or it would end the request that is being answered
	v.bytes = len(body)
	req, images, n, err := h.decode(body, r.Header.Get(headerLength))
	if err != nil {
		return nil, nil, err
	}
	v.images = n
	logits, err := h.predict(r.Context(), images, n, v, until)
	if err != nil {
		return nil, nil, err
	}
	out := wireTensor{Name: h.spec.Output, Datatype: fp32, Shape: []int64{int64(n), int64(h.spec.Classes)}}
	if req.wantsBinary() {
		tail = AppendFloats(make([]byte, 0, 4*len(logits)), logits)
		out.Parameters = &wireParameters{BinaryDataSize: ptr(int64(len(tail)))}
	} else {
		out.Data = jsonFloats(logits)
	}
	head, err = json.Marshal(inferResponse{ModelName: h.spec.Name, ID: req.ID, Outputs: []wireTensor{out}})
	return head, tail, err
}

// wantsBinary is the output's own wish, else the whole request's.
func (r *inferRequest) wantsBinary() bool {
	if len(r.Outputs) > 0 {
		if p := r.Outputs[0].Parameters; p != nil && p.BinaryData != nil {
			return *p.BinaryData
		}
	}
	return r.Parameters != nil && r.Parameters.BinaryDataOutput != nil && *r.Parameters.BinaryDataOutput
}

// decode checks a request whole before the model sees any of it.
func (h *Handler) decode(body []byte, length string) (*inferRequest, []float32, int, error) {
	doc, rest := body, []byte(nil)
	if length != "" {
		size, err := strconv.ParseUint(length, 10, 31)
		if err != nil || int64(size) > int64(len(body)) {
			return nil, nil, 0, bad("header %s is %q in a request of %d bytes", headerLength, length, len(body))
		}
		doc, rest = body[:size], body[size:]
	}
	var req inferRequest
	if err := json.Unmarshal(doc, &req); err != nil {
		return nil, nil, 0, bad("the request is no JSON: %w", err)
	}
	if len(req.Inputs) != 1 || req.Inputs[0].Name != h.spec.Input {
		return nil, nil, 0, bad("inputs: want one tensor named %s", h.spec.Input)
	}
	if len(req.Outputs) > 1 || (len(req.Outputs) == 1 && req.Outputs[0].Name != h.spec.Output) {
		return nil, nil, 0, bad("outputs: the only tensor is named %s", h.spec.Output)
	}
	if p := req.Parameters.foreign(); p != "" {
		return nil, nil, 0, bad("parameters.%s is not done here", p)
	}
	if p := req.Inputs[0].Parameters.foreign(); p != "" {
		return nil, nil, 0, bad("inputs[0].parameters.%s is not done here", p)
	}
	if len(req.Outputs) == 1 {
		if p := req.Outputs[0].Parameters.foreign(); p != "" {
			return nil, nil, 0, bad("outputs[0].parameters.%s is not done here; ask for the logits", p)
		}
	}
	in := req.Inputs[0]
	if in.Datatype != fp32 {
		return nil, nil, 0, bad("inputs[0].datatype is %q, want FP32", in.Datatype)
	}
	want := h.meta.Inputs[0].Shape
	if len(in.Shape) != 4 || in.Shape[1] != want[1] || in.Shape[2] != want[2] || in.Shape[3] != want[3] {
		return nil, nil, 0, bad("inputs[0].shape is %v, want %v", in.Shape, want)
	}
	if in.Shape[0] < 1 || in.Shape[0] > int64(h.spec.MaxBatch) {
		return nil, nil, 0, bad("inputs[0].shape is %v, want 1 to %d images", in.Shape, h.spec.MaxBatch)
	}
	n := int(in.Shape[0])
	images, err := floatsOf(&in, rest, n*h.spec.Pixels())
	if err != nil {
		return nil, nil, 0, bad("inputs[0]%w", err)
	}
	return &req, images, n, nil
}

// floatsOf reads the values of a tensor from its JSON or from the bytes behind.
func floatsOf(t *wireTensor, rest []byte, want int) ([]float32, error) {
	if t.Parameters == nil || t.Parameters.BinaryDataSize == nil {
		v, err := readFloats(t.Data, want)
		if err != nil {
			return nil, fmt.Errorf(".data %w", err)
		}
		return v, nil
	}
	if size := *t.Parameters.BinaryDataSize; size != int64(4*want) || size != int64(len(rest)) {
		return nil, fmt.Errorf(".parameters.binary_data_size is %d, the shape says %d, and %d bytes follow", size,
			4*want, len(rest))
	}
	v := Floats(rest)
	if i := notFinite(v); i >= 0 {
		return nil, fmt.Errorf(".data holds %v at %d", v[i], i)
	}
	return v, nil
}

// predict waits for its turn and asks the model.
func (h *Handler) predict(ctx context.Context, images []float32, n int, visit *visit, until time.Time) ([]float32,
	error) {
	came := time.Now()
	if err := h.waitTurn(ctx, until); err != nil {
		return nil, err
	}
	defer func() { <-h.turn }()
	began := time.Now()
	v, err := h.model.Logits(context.WithoutCancel(ctx), images, n)
	h.modelTimes.Since(began)
	visit.waited, visit.model = began.Sub(came), time.Since(began)
	if err != nil {
		return nil, fmt.Errorf("the model failed: %w", err)
	}
	if len(v) != n*h.spec.Classes {
		return nil, fmt.Errorf("the model gave %d logits for %d images", len(v), n)
	}
	if i := notFinite(v); i >= 0 {
		return nil, fmt.Errorf("the model gave %v for image %d", v[i], i/h.spec.Classes)
	}
	return v, nil
}
