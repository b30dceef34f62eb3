package remote

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/flops-vit/flops/internal/oip"
)

// One message to or from a program: the length of a JSON header as 4 bytes
// little-endian, the header, and as many bytes of float32 little-endian as its
// field bytes says (docs/protocol.md).
type frameHeader struct {
	Type    string           `json:"type"` // describe, infer; model, logits, error
	ID      int64            `json:"id,omitempty"`
	Shape   []int64          `json:"shape,omitempty"`
	Bytes   int64            `json:"bytes,omitempty"`
	Name    string           `json:"name,omitempty"`
	Inputs  []oip.TensorMeta `json:"inputs,omitempty"`
	Outputs []oip.TensorMeta `json:"outputs,omitempty"`
	Error   string           `json:"error,omitempty"`
	Retry   bool             `json:"retry,omitempty"`
}

const maxFrameHeader = 1 << 20

// errFraming is output of a program that is no frame.
var errFraming = errors.New("not a frame")

func writeFrame(w io.Writer, h frameHeader, values []float32) error {
	h.Bytes = int64(4 * len(values))
	doc, err := json.Marshal(h)
	if err != nil {
		return err
	}
	b := binary.LittleEndian.AppendUint32(make([]byte, 0, 4+len(doc)+4*len(values)), uint32(len(doc)))
	_, err = w.Write(oip.AppendFloats(append(b, doc...), values))
	return err
}

// readFrame reads a message with at most limit bytes of values.
func readFrame(r *bufio.Reader, limit int64) (h frameHeader, values []float32, err error) {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return h, nil, err
	}
	n := binary.LittleEndian.Uint32(size[:])
	if n == 0 || n > maxFrameHeader {
		rest, _ := r.Peek(min(r.Buffered(), 60)) // for the message alone
		return h, nil, fmt.Errorf("%w: begins with %.64q", errFraming, append(size[:], rest...))
	}
	doc := make([]byte, n)
	if _, err := io.ReadFull(r, doc); err != nil {
		return h, nil, noEOF(err)
	}
	if err := json.Unmarshal(doc, &h); err != nil {
		return h, nil, fmt.Errorf("%w: the header %.64q is no JSON: %v", errFraming, doc, err)
	}
	if h.Bytes < 0 || h.Bytes%4 != 0 || h.Bytes > limit {
		return h, nil, fmt.Errorf("%w: bytes is %d, want at most %d", errFraming, h.Bytes, limit)
	}
	raw := make([]byte, h.Bytes)
	if _, err := io.ReadFull(r, raw); err != nil {
		return h, nil, noEOF(err)
	}
	return h, oip.Floats(raw), nil
}

// noEOF is for reads in the middle of a message.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
