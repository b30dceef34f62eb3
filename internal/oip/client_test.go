package oip

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/flops-vit/flops/internal/testkit"
)

// peer answers like a real server in all but what a test replaces.
func peer(t *testing.T, infer http.HandlerFunc) *httptest.Server {
	t.Helper()
	h, err := NewHandler(small())
	if err != nil {
		t.Fatal(err)
	}
	return testkit.Peer(t, h, infer)
}

func says200(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) }
}

func output(fields string) string {
	return `{"model_name":"lin","outputs":[{"name":"logits",` + fields + `}]}`
}

// TestBadAnswers: an answer that cannot be used is refused at once, naming the
// field.
func TestBadAnswers(t *testing.T) {
	head := func(v string, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(headerLength, v)
			fmt.Fprint(w, body)
		}
	}
	bin := func(size int, values string) http.HandlerFunc {
		doc := output(fmt.Sprintf(`"datatype":"FP32","shape":[2,3],"parameters":{"binary_data_size":%d}`, size))
		return head(fmt.Sprint(len(doc)), doc+values)
	}
	nan := strings.Repeat("\x00\x00\x80\x3f", 4) + "\x00\x00\xc0\x7f" + "\x00\x00\x80\x3f"
	for name, c := range map[string]struct {
		f     http.HandlerFunc
		words []string
	}{
		"other shape": {says200(output(`"datatype":"FP32","shape":[2,5],"data":[1,2,3,4,5,6,7,8,9,10]`)),
			[]string{"outputs[0].shape is [2 5], want [2 3]"}},
		"other batch": {says200(output(`"datatype":"FP32","shape":[1,3],"data":[1,2,3]`)),
			[]string{"outputs[0].shape is [1 3], want [2 3]"}},
		"other type": {says200(output(`"datatype":"FP16","shape":[2,3],"data":[1,2,3,4,5,6]`)),
			[]string{`outputs[0].datatype is "FP16"`}},
		"too few": {says200(output(`"datatype":"FP32","shape":[2,3],"data":[1,2,3,4,5]`)),
			[]string{"outputs[0].data holds 5 numbers"}},
		"too many": {says200(output(`"datatype":"FP32","shape":[2,3],"data":[1,2,3,4,5,6,7]`)),
			[]string{"outputs[0].data holds more than 6"}},
		"no data": {says200(output(`"datatype":"FP32","shape":[2,3]`)), []string{"outputs[0].data is no array"}},
		"null": {says200(output(`"datatype":"FP32","shape":[2,3],"data":[1,null,3,4,5,6]`)),
			[]string{"outputs[0].data holds", "null"}},
		"text": {says200(output(`"datatype":"FP32","shape":[2,3],"data":["NaN",2,3,4,5,6]`)),
			[]string{"outputs[0].data holds", "NaN"}},
		"Python's NaN": {says200(output(`"datatype":"FP32","shape":[2,3],"data":[1,NaN,3,4,5,6]`)),
			[]string{"outputs", "NaN"}},
		"infinite": {says200(output(`"datatype":"FP32","shape":[2,3],"data":[1,1e99,3,4,5,6]`)),
			[]string{"outputs[0].data holds 1e99"}},
		"HTML":  {says200("<!DOCTYPE html><html><body>Welcome</body></html>"), []string{"outputs", "HTML"}},
		"empty": {says200(""), []string{"outputs", "empty"}},
		"half a document": {says200(output(`"datatype":"FP32","shape":[2,3],"data":[1,2`)[:70]),
			[]string{"outputs", "no JSON"}},
		"another tensor": {says200(`{"outputs":[{"name":"probs","datatype":"FP32","shape":[2,3],"data":[1,2,3,4,5,6]}]}`),
			[]string{`no tensor "logits"`}},
		"no tensors":  {says200(`{"error":null}`), []string{`no tensor "logits"`}},
		"binary NaN":  {bin(24, nan), []string{"outputs[0].data holds NaN for image 1, class 1"}},
		"binary size": {bin(20, nan), []string{"outputs[0].parameters.binary_data_size is 20, its shape says 24"}},
		"binary size short": {bin(24, nan[:20]),
			[]string{"outputs[0].parameters.binary_data_size is 24, and 20 bytes follow"}},
		"binary negative": {bin(-4, nan), []string{"outputs[0].parameters.binary_data_size is -4"}},
		"header length":   {head("99999", "{}"), []string{headerLength}},
		"header minus":    {head("-1", "{}"), []string{headerLength}},
		"endless":         {says200(strings.Repeat(" ", maxDocument+2*3*bytesPerNumber+1)), []string{"longer than"}},
		"status 400": {func(w http.ResponseWriter, _ *http.Request) { answerError(w, 400, errors.New("bad input")) },
			[]string{"status 400: bad input"}},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		},
			[]string{"redirects (status 307)"}},
		"HTML status": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(422)
			fmt.Fprint(w, "<html><script>x</script><h1>No\nway</h1>\x1b[31m</html>")
		}, []string{"status 422: No way"}},
	} {
		t.Run(name, func(t *testing.T) {
			srv := peer(t, c.f)
			client := open(t, Endpoint{URL: srv.URL, Name: "lin"})
			err := client.Call(context.Background(), make([]float32, 24), 2, make([]float32, 6))
			var f *Fault
			if !errors.As(err, &f) || f.Kind != Permanent {
				t.Fatalf("%v, want a permanent fault", err)
			}
			for _, w := range append(c.words, "model.url "+srv.URL) {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("error %q does not name %q", err, w)
				}
			}
		})
	}
}

// TestRetryAfter: the header is seconds or a date.
func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for v, want := range map[string]time.Duration{"3": 3 * time.Second, "": 0, "soon": 0, "-1": 0,
		"Fri, 02 Jan 2026 03:04:15 GMT": 10 * time.Second, "Fri, 02 Jan 2026 03:00:00 GMT": 0} {
		if got := retryAfter(v, now); got != want {
			t.Errorf("%q: %v, want %v", v, got, want)
		}
	}
}
