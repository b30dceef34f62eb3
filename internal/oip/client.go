package oip

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/flops-vit/flops/internal/uierr"
)

// Endpoint names a model on a server.
type Endpoint struct {
	URL       string // scheme://host:port, with a path if the server stands below one
	Name      string // of the model
	Binary    string // auto, always or never: Triton's binary tensors
	TokenEnv  string // environment variable that holds a bearer token
	TokenFile string // file that holds a bearer token
	CAFile    string // PEM certificates to trust beside the system's
	Classes   int    // outputs of a model whose metadata leaves them open; else 0
	Given     Given  // tensors of a model whose metadata names none
}

// Client calls a model by the Open Inference Protocol.
type Client struct {
	base   string
	at     string // "model.url http://...": how messages name it
	end    Endpoint
	log    func(string)
	token  string
	binary bool
	spec   Spec
	client *http.Client
}

// NewClient makes a client that keeps idle connections open, and reads its token
// and certificates. Nothing is sent: Ready, Describe and Negotiate, in this order,
// come before the first Call. log gets a line of news; nil: silence.
func NewClient(e Endpoint, idle int, log func(string)) (*Client, error) {
	u, err := url.Parse(e.URL)
	switch {
	case err != nil, u.Scheme != "http" && u.Scheme != "https", u.Host == "", u.RawQuery != "", u.Fragment != "":
		return nil, uierr.New(fmt.Sprintf("model.url: %q is no address of a server", e.URL),
			"give scheme://host:port, as in http://127.0.0.1:8000")
	case u.User != nil:
		return nil, uierr.New("model.url: holds a user or a password, and configs are saved with the run",
			"use model.token_env or model.token_file")
	case e.Name == "":
		return nil, uierr.New("model.name: is empty", "name the model on the server")
	}
	h := &Client{base: strings.TrimRight(u.String(), "/"), end: e, log: log}
	h.at = "model.url " + h.base
	if h.token, err = readToken(e); err != nil {
		return nil, err
	}
	if h.token != "" && u.Scheme == "http" && !loopback(u.Hostname()) && log != nil {
		log(h.at + ": the bearer token travels unencrypted; use https")
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = max(2, idle)
	t.DisableCompression = true // logits do not shrink, and sizes stay bounded
	if e.CAFile != "" {
		pem, err := os.ReadFile(e.CAFile)
		if err != nil {
			return nil, uierr.Wrap(err, fmt.Sprintf("model.ca_file: %v", err), "give a file of PEM certificates")
		}
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM(pem) {
			return nil, uierr.New(fmt.Sprintf("model.ca_file: no certificate in %s", e.CAFile),
				"give a file of PEM certificates")
		}
		t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	h.client = &http.Client{Transport: t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return h, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// readToken reads the bearer token. It goes into requests alone: no message and
// no file of the run ever holds it.
func readToken(e Endpoint) (string, error) {
	var token, key string
	switch {
	case e.TokenEnv != "" && e.TokenFile != "":
		return "", uierr.New("model.token_env, model.token_file: both are set", "keep one of them")
	case e.TokenEnv != "":
		key, token = "model.token_env", strings.TrimSpace(os.Getenv(e.TokenEnv))
		if token == "" {
			return "", uierr.New(fmt.Sprintf("model.token_env: the environment variable %s is empty", e.TokenEnv),
				"export it before the run")
		}
	case e.TokenFile != "":
		key = "model.token_file"
		b, err := os.ReadFile(e.TokenFile)
		if err != nil {
			return "", uierr.Wrap(err, fmt.Sprintf("model.token_file: %v", err), "give a file that holds the token alone")
		}
		if token = strings.TrimSpace(string(b)); token == "" {
			return "", uierr.New(fmt.Sprintf("model.token_file: %s is empty", e.TokenFile),
				"give a file that holds the token alone")
		}
	}
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", uierr.New(key+": the token holds spaces or characters that no header may carry", "give the token alone")
	}
	return token, nil
}

// Spec is the model as its metadata describes it.
func (h *Client) Spec() Spec { return h.spec }

// Binary says whether tensors travel as bytes rather than as JSON.
func (h *Client) Binary() bool { return h.binary }

// Close ends the idle connections.
func (h *Client) Close() error {
	h.client.CloseIdleConnections()
	return nil
}

// Ready fails where the server does not say that it is ready.
func (h *Client) Ready(ctx context.Context) error {
	_, err := h.roundTrip(ctx, http.MethodGet, "/v2/health/ready", nil, nil, maxDocument)
	return err
}

// Describe reads the model's metadata and checks that this tool can call it.
func (h *Client) Describe(ctx context.Context) error {
	var meta Metadata
	if err := h.get(ctx, "/v2/models/"+url.PathEscape(h.end.Name), &meta); err != nil {
		return err
	}
	s, err := meta.completed(h.end.Given, h.log).Spec(h.end.Classes)
	if err != nil {
		hint := "this tool calls models that take images and give one number per class, float32 both"
		if len(meta.Inputs) == 0 || len(meta.Outputs) == 0 {
			hint = "write inputs and outputs into the server's model-settings.json, or set model.input, model.output, " +
				"model.shape and model.arch.classes"
		}
		return uierr.Wrap(err, fmt.Sprintf("%s: model %s: %v", h.at, h.end.Name, err), hint)
	}
	h.spec = s
	return nil
}

// maxDocument bounds every answer that is not tensors.
const maxDocument = 4 << 20

func (h *Client) get(ctx context.Context, path string, to any) error {
	a, err := h.roundTrip(ctx, http.MethodGet, path, nil, nil, maxDocument)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(a.body, to); err != nil {
		return Permanently("%s: %s: %s", h.at, path, notJSON(a, err))
	}
	return nil
}

// Negotiate chooses between binary tensors and JSON. Where it fails with a Fault,
// JSON is chosen: a server without the document of its extensions has none.
func (h *Client) Negotiate(ctx context.Context) error {
	switch h.end.Binary {
	case "always", "never":
		h.binary = h.end.Binary == "always"
		return nil
	case "auto", "":
	default:
		return uierr.New(fmt.Sprintf("model.binary: no choice %q", h.end.Binary), "use auto, always or never")
	}
	var meta serverMetadata
	err := h.get(ctx, "/v2", &meta)
	h.binary = err == nil && slices.Contains(meta.Extensions, binaryExtension)
	return err
}

// Call asks for the logits of n images in one request.
func (h *Client) Call(ctx context.Context, images []float32, n int, out []float32) error {
	images = h.spec.Arranged(images, n)
	in := wireTensor{Name: h.spec.Input, Datatype: fp32, Shape: h.spec.WireShape(int64(n))}
	req := inferRequest{Inputs: []wireTensor{in}, Outputs: []wireOutput{{Name: h.spec.Output}}}
	header := http.Header{"Content-Type": {"application/json"}}
	if h.binary {
		req.Inputs[0].Parameters = &wireParameters{BinaryDataSize: ptr(int64(4 * len(images)))}
		req.Outputs[0].Parameters = &wireParameters{BinaryData: ptr(true)}
	} else {
		req.Inputs[0].Data = jsonFloats(images)
	}
	body, err := json.Marshal(req)
	if err != nil {
		return Permanently("write the request: %w", err)
	}
	if h.binary {
		header.Set("Content-Type", "application/octet-stream")
		header.Set(headerLength, fmt.Sprint(len(body)))
		body = AppendFloats(body, images)
	}
	limit := int64(n)*int64(h.spec.Classes)*bytesPerNumber + maxDocument
	a, err := h.roundTrip(ctx, http.MethodPost, "/v2/models/"+url.PathEscape(h.end.Name)+"/infer", header,
		bytes.NewReader(body), limit)
	if err != nil {
		return err
	}
	v, err := h.logits(a, n)
	if err != nil {
		return err
	}
	copy(out, v)
	return nil
}
