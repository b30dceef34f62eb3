package report

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Events writes a TensorBoard event file: records of TFRecord framing, each an
// Event message of tensorflow/core/util/event.proto, encoded by hand. Every
// method writes one whole record, so a file that ends anywhere reads up to its
// last whole record.
type Events struct {
	w   io.Writer
	now func() time.Time
}

// NewEvents begins an event stream, whose records carry the time that now gives.
func NewEvents(w io.Writer, now func() time.Time) (*Events, error) {
	e := &Events{w: w, now: now}
	return e, e.record(message(nil).text(3, "brain.Event:2"), 0)
}

// OpenEvents begins an event file in a folder, which it makes. The file's name
// holds the time and the process, so that a resumed run adds a file and
// overwrites none; TensorBoard reads them as one run, in the order of their
// names, so that of a new file comes after those that are there, whatever the
// clock says. The caller closes it.
func OpenEvents(dir string) (*Events, io.Closer, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, nil, fmt.Errorf("report: %w", err)
	}
	t := time.Now()
	second, err := after(dir, t.Unix())
	if err != nil {
		return nil, nil, err
	}
	name := fmt.Sprintf("%s%d.flops.%d.%d", eventsPrefix, second, os.Getpid(), t.Nanosecond())
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, nil, fmt.Errorf("report: %w", err)
	}
	e, err := NewEvents(f, time.Now)
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return e, f, nil
}

// eventsPrefix begins the name of every event file; the second in which it was
// begun follows.
const eventsPrefix = "events.out.tfevents."

// after is a second after those of the event files in a folder, now or later.
func after(dir string, now int64) (int64, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, fmt.Errorf("report: %w", err)
	}
	for _, e := range entries {
		rest, _ := strings.CutPrefix(e.Name(), eventsPrefix)
		text, _, _ := strings.Cut(rest, ".")
		if s, err := strconv.ParseInt(text, 10, 64); err == nil && s < math.MaxInt64 {
			now = max(now, s+1)
		}
	}
	return now, nil
}

// Start says that the steps from this one on are written anew, after a resume or
// a return to a checkpoint: readers drop what they had of them. It is said twice,
// because some readers take the first such event of a run for its beginning and
// drop nothing.
func (e *Events) Start(step int) error {
	const start = 1 // SessionLog.SessionStatus
	for range 2 {
		if err := e.record(message(nil).bytes(7, message(nil).number(1, start)), step); err != nil {
			return err
		}
	}
	return nil
}

// Scalar writes one number.
func (e *Events) Scalar(tag string, step int, v float64) error {
	return e.value(step, message(nil).text(1, tag).float(2, float32(v)))
}

// Timed writes one number as if it had been written so many seconds after 1970, so
// that TensorBoard's axes of time show these seconds.
func (e *Events) Timed(tag string, step int, seconds, v float64) error {
	one := message(nil).text(1, tag).float(2, float32(v))
	return e.at(seconds, message(nil).bytes(5, message(nil).bytes(1, one)), step)
}

// Histogram writes the distribution of values; those that are no numbers are
// left out, and without any nothing is written.
func (e *Events) Histogram(tag string, step int, values []float64) error {
	h, ok := histogram(values)
	if !ok {
		return nil
	}
	return e.value(step, message(nil).text(1, tag).bytes(5, h))
}

// Image writes a picture, encoded as PNG.
func (e *Events) Image(tag string, step int, im image.Image) error {
	var b bytes.Buffer
	fast := png.Encoder{CompressionLevel: png.BestSpeed} // a run waits for it, and a small one for little else
	if err := fast.Encode(&b, im); err != nil {
		return fmt.Errorf("report: image %s: %w", tag, err)
	}
	const rgba = 4 // the colour space: channels
	m := message(nil).number(1, uint64(im.Bounds().Dy())).number(2, uint64(im.Bounds().Dx())).number(3, rgba).bytes(4,
		b.Bytes())
	return e.value(step, message(nil).text(1, tag).bytes(4, m))
}

// value writes an Event with a Summary of one Value.
func (e *Events) value(step int, v message) error {
	return e.record(message(nil).bytes(5, message(nil).bytes(1, v)), step)
}

// record completes an Event and writes it with TFRecord's framing: the length,
// the masked CRC-32C of the length, the data, and the masked CRC-32C of the data.
func (e *Events) record(what message, step int) error {
	return e.at(float64(e.now().UnixNano())/1e9, what, step)
}

// at is record of an Event of some time.
func (e *Events) at(wall float64, what message, step int) error {
	data := message(nil).double(1, wall)
	if step != 0 { // a number that is 0 is left out
		data = data.number(2, uint64(step))
	}
	data = append(data, what...)
	buf := binary.LittleEndian.AppendUint64(nil, uint64(len(data)))
	buf = binary.LittleEndian.AppendUint32(buf, masked(buf))
	buf = append(buf, data...)
	buf = binary.LittleEndian.AppendUint32(buf, masked(data))
	if _, err := e.w.Write(buf); err != nil {
		return fmt.Errorf("report: events: %w", err)
	}
	return nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// masked is TFRecord's checksum: a CRC-32C turned by 15 bits, plus a constant,
// so that the checksum of data that hold checksums stays a good one.
func masked(b []byte) uint32 {
	c := crc32.Checksum(b, castagnoli)
	return (c>>15 | c<<17) + 0xa282ead8
}

// buckets of a histogram, at most.
const buckets = 30

// histogram is a HistogramProto of equal buckets from the least value to the
// largest; a value at a limit counts below it.
func histogram(values []float64) (message, bool) {
	lo, hi := math.Inf(1), math.Inf(-1)
	var n, sum, sq float64
	for _, v := range values {
		if finite(v) {
			lo, hi = min(lo, v), max(hi, v)
			n, sum, sq = n+1, sum+v, sq+v*v
		}
	}
	if n == 0 {
		return nil, false
	}
	k, width := buckets, (hi-lo)/buckets
	switch {
	case lo == hi:
		k, width = 1, max(1e-6, math.Abs(hi)*1e-6)
	case !finite(width):
		k, width = 1, math.MaxFloat64
	}
	limits, counts := make([]float64, k), make([]float64, k)
	for i := range limits {
		limits[i] = lo + width*float64(i+1)
	}
	limits[k-1] = max(limits[k-1], hi)
	for _, v := range values {
		if finite(v) {
			counts[max(0, min(k-1, int(math.Ceil((v-lo)/width))-1))]++
		}
	}
	return message(nil).double(1, lo).double(2, hi).double(3, n).double(4, sum).double(5, sq).doubles(6, limits).doubles(7,
		counts), true
}

// message is a protocol-buffer message under construction; a field is its number
// and wire type, then its value.
type message []byte

func (m message) number(field int, v uint64) message {
	return binary.AppendUvarint(binary.AppendUvarint(m, uint64(field)<<3), v)
}

func (m message) double(field int, v float64) message {
	return binary.LittleEndian.AppendUint64(binary.AppendUvarint(m, uint64(field)<<3|1), math.Float64bits(v))
}

func (m message) float(field int, v float32) message {
	return binary.LittleEndian.AppendUint32(binary.AppendUvarint(m, uint64(field)<<3|5), math.Float32bits(v))
}

func (m message) bytes(field int, b []byte) message {
	m = binary.AppendUvarint(m, uint64(field)<<3|2)
	return append(binary.AppendUvarint(m, uint64(len(b))), b...)
}

func (m message) text(field int, s string) message { return m.bytes(field, []byte(s)) }

// doubles is a packed repeated double.
func (m message) doubles(field int, v []float64) message {
	b := make([]byte, 0, 8*len(v))
	for _, x := range v {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(x))
	}
	return m.bytes(field, b)
}
