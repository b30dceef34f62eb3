package oip

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/flops-vit/flops/internal/uierr"
)

// reply is a whole answer of status 200.
type reply struct {
	body   []byte
	header http.Header
}

// roundTrip makes one request and reads its answer whole. Anything but status
// 200 is a fault that names the server.
func (h *Client) roundTrip(ctx context.Context, method, path string, header http.Header, body io.Reader,
	limit int64) (*reply, error) {
	a, err := h.exchange(ctx, method, path, header, body, limit)
	var f *Fault
	if _, told := uierr.As(err); !told && errors.As(err, &f) {
		f.Err = fmt.Errorf("%s: %w", h.at, f.Err)
	}
	return a, err
}

func (h *Client) exchange(ctx context.Context, method, path string, header http.Header, body io.Reader,
	limit int64) (*reply, error) {
	req, err := http.NewRequestWithContext(ctx, method, h.base+path, body)
	if err != nil {
		return nil, Permanently("%w", err)
	}
	for k, v := range header {
		req.Header[k] = v
	}
	if h.token != "" {
		req.Header.Set("Authorization", "Bearer "+h.token)
	}
	resp, err := h.client.Do(req)
	if err != nil {
		return nil, h.transportFault(path, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	switch {
	case err != nil && resp.StatusCode == http.StatusOK:
		if isTimeout(err) {
			return nil, h.transportFault(path, err)
		}
		return nil, TryAgain("%s: the answer broke off after %d bytes: %w", path, len(b), err)
	case int64(len(b)) > limit:
		return nil, Permanently("%s: the answer is longer than %d bytes", path, limit)
	case resp.StatusCode != http.StatusOK:
		return nil, h.statusFault(path, resp, b)
	}
	return &reply{body: b, header: resp.Header}, nil
}

func isCancel(err error) bool { return errors.Is(err, context.Canceled) }

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) ||
		(errors.As(err, &t) && t.Timeout())
}

// transportFault classes what went wrong below HTTP.
func (h *Client) transportFault(path string, err error) error {
	var dial *net.OpError
	var dns *net.DNSError
	switch {
	case isCancel(err):
		return err
	case strings.Contains(err.Error(), "tls: ") || strings.Contains(err.Error(), "x509: "):
		return &Fault{Kind: Permanent,
			Err: uierr.Wrap(err, fmt.Sprintf("%s: the secure connection failed: %v", h.at, errors.Unwrap(err)),
				"check the certificate; set model.ca_file where your own authority signed it")}
	case errors.As(err, &dns) && dns.IsNotFound:
		return &Fault{Kind: Unreachable, Err: fmt.Errorf("no such host: %w", err)}
	case isTimeout(err):
		return &Fault{Kind: Again, Err: fmt.Errorf("%s: no answer within model.timeout: %w", path, err)}
	case errors.As(err, &dial) && dial.Op == "dial", errors.Is(err, syscall.ECONNREFUSED):
		if dial != nil {
			err = dial // without the method and the URL, which the line has already
		}
		return &Fault{Kind: Unreachable, Err: fmt.Errorf("nobody answers: %w", err)}
	}
	return TryAgain("%s: the connection broke: %w", path, err)
}

// statusFault classes an answer that is not 200: 429 and 5xx may pass, others
// will not.
func (h *Client) statusFault(path string, resp *http.Response, body []byte) error {
	said := h.message(resp, body)
	f := &Fault{Kind: Permanent, Err: fmt.Errorf("%s: status %d%s", path, resp.StatusCode, said)}
	switch code := resp.StatusCode; {
	case code == http.StatusTooManyRequests || code >= 500:
		f.Kind, f.After = Again, retryAfter(resp.Header.Get("Retry-After"), time.Now())
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		f.Err = uierr.Wrap(f.Err, fmt.Sprintf("%s: %v", h.at, f.Err),
			"set model.token_env or model.token_file to a token that the server accepts")
	case code >= 300 && code < 400:
		f.Err = uierr.Wrap(f.Err, fmt.Sprintf("%s: %s: redirects (status %d)", h.at, path, code),
			"set model.url to where the server really is")
	case code == http.StatusNotFound && strings.HasPrefix(path, "/v2/models/"):
		f.Err = uierr.Wrap(f.Err, fmt.Sprintf("%s: model.name: no model %q%s", h.at, h.end.Name, said),
			"name a model that the server has")
	case code == http.StatusNotFound:
		f.Err = uierr.Wrap(f.Err, fmt.Sprintf("%s: %s: status 404: no Open Inference Protocol here", h.at, path),
			"give the address of a KServe v2 server (its HTTP port)")
	}
	return f
}

// maxSaid bounds what is quoted of a server's own words.
const maxSaid = 200

var tags = regexp.MustCompile(`(?s)<(script|style).*?</(script|style)>|<[^>]*>`)

// message is what the server said, made fit for a line: short, printable, and
// without the token, which a careless server may echo.
func (h *Client) message(resp *http.Response, body []byte) string {
	var doc struct {
		Error any `json:"error"`
	}
	s := string(body[:min(len(body), maxDocument)])
	if json.Unmarshal(body, &doc) == nil && doc.Error != nil {
		s = fmt.Sprint(doc.Error)
	} else if strings.Contains(resp.Header.Get("Content-Type"), "html") {
		s = tags.ReplaceAllString(s, " ")
	}
	if h.token != "" {
		s = strings.ReplaceAll(s, h.token, "[token]")
	}
	s = strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)), " ")
	if r := []rune(s); len(r) > maxSaid {
		s = string(r[:maxSaid]) + "..."
	}
	if s == "" {
		return ""
	}
	return ": " + s
}

// retryAfter reads the header: seconds, or a date.
func retryAfter(v string, now time.Time) time.Duration {
	if s, err := strconv.ParseInt(v, 10, 32); err == nil && s >= 0 {
		return time.Duration(s) * time.Second
	}
	if t, err := http.ParseTime(v); err == nil {
		return max(0, t.Sub(now))
	}
	return 0
}

// notJSON says what an unreadable document looks like.
func notJSON(a *reply, err error) string {
	b := bytes.TrimSpace(a.body)
	switch {
	case len(b) == 0:
		return "the answer is empty"
	case b[0] == '<':
		return "the answer is HTML, not JSON"
	case bytes.Contains(b, []byte("NaN")), bytes.Contains(b, []byte("Infinity")):
		return "the answer holds NaN or Infinity, which JSON does not have"
	}
	return fmt.Sprintf("the answer is no JSON: %v", err)
}

// logits reads and checks the answer to n images. Its errors name the field.
func (h *Client) logits(a *reply, n int) ([]float32, error) {
	doc, rest := a.body, []byte(nil)
	if v := a.header.Get(headerLength); v != "" {
		size, err := strconv.ParseUint(v, 10, 31)
		if err != nil || int(size) > len(doc) {
			return nil, h.wrong("header %s is %q in an answer of %d bytes", headerLength, v, len(doc))
		}
		doc, rest = doc[:size], doc[size:]
	}
	var r inferResponse
	if err := json.Unmarshal(doc, &r); err != nil {
		return nil, h.wrong("outputs: %s", notJSON(&reply{body: doc}, err))
	}
	for i := range r.Outputs {
		o := &r.Outputs[i]
		size := int64(0)
		if o.Parameters != nil && o.Parameters.BinaryDataSize != nil {
			if size = *o.Parameters.BinaryDataSize; size < 0 || size > int64(len(rest)) {
				return nil, h.wrong("outputs[%d].parameters.binary_data_size is %d, and %d bytes follow", i, size, len(rest))
			}
		}
		raw := rest[:size]
		rest = rest[size:]
		if o.Name != h.spec.Output {
			continue
		}
		v, err := h.tensor(fmt.Sprintf("outputs[%d]", i), o, raw, n)
		if err != nil {
			return nil, h.wrong("%w", err)
		}
		return v, nil
	}
	return nil, h.wrong("outputs has no tensor %q", h.spec.Output)
}

func (h *Client) tensor(field string, o *wireTensor, raw []byte, n int) ([]float32, error) {
	if o.Datatype != fp32 {
		return nil, fmt.Errorf("%s.datatype is %q, want FP32", field, o.Datatype)
	}
	if err := h.spec.CheckLogits(field, o.Shape, n); err != nil {
		return nil, err
	}
	want := n * h.spec.Classes
	var v []float32
	if o.Parameters != nil && o.Parameters.BinaryDataSize != nil {
		if len(raw) != 4*want {
			return nil, fmt.Errorf("%s.parameters.binary_data_size is %d, its shape says %d", field, len(raw), 4*want)
		}
		v = Floats(raw)
	} else {
		var err error
		if v, err = readFloats(o.Data, want); err != nil {
			return nil, fmt.Errorf("%s.data %w", field, err)
		}
	}
	return v, h.spec.CheckFinite(field, v)
}

// wrong is an answer that cannot be used; asking again would bring the same.
func (h *Client) wrong(format string, a ...any) error {
	err := fmt.Errorf(format, a...)
	return &Fault{Kind: Permanent, Err: uierr.Wrap(err, fmt.Sprintf("%s: model %s: answer: %v", h.at, h.end.Name, err),
		"the server does not answer as its metadata says; check the model, or its proxy")}
}
