package oip

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

// readBody reads a request of at most limit bytes, before and after it is
// unpacked as its Content-Encoding says.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	long := &refusal{http.StatusRequestEntityTooLarge, fmt.Errorf("the request is longer than %d bytes", limit), large}
	in, err := unpacked(http.MaxBytesReader(w, r.Body, limit), r.Header.Get("Content-Encoding"))
	var body []byte
	if err == nil {
		body, err = io.ReadAll(io.LimitReader(in, limit+1))
	}
	var ref *refusal
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &ref):
		return nil, ref
	case errors.As(err, &large), err == nil && int64(len(body)) > limit:
		return nil, long
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, &refusal{http.StatusRequestTimeout, errors.New("the request did not come in time"), overdue}
	case err != nil:
		return nil, bad("the request broke off: %w", err)
	}
	return body, nil
}

// unpacked undoes a Content-Encoding of gzip or deflate. The latter is zlib by
// the standard (RFC 9110, 8.4.1.2) and bare deflate by some clients' habit: the
// first two bytes tell.
func unpacked(in io.Reader, encoding string) (io.Reader, error) {
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "", "identity":
		return in, nil
	case "gzip", "x-gzip":
		return gzip.NewReader(in)
	case "deflate":
		b := bufio.NewReader(in)
		if head, err := b.Peek(2); err != nil || head[0]&0x0f != 8 || (int(head[0])<<8+int(head[1]))%31 != 0 {
			return flate.NewReader(b), nil
		}
		return zlib.NewReader(b)
	}
	return nil, &refusal{http.StatusUnsupportedMediaType,
		fmt.Errorf("Content-Encoding %.40q is not read here; send gzip, deflate or the plain request", encoding), wrong}
}
