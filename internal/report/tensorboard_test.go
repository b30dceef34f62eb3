package report

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// fields decodes one message into its fields' raw values.
func fields(t *testing.T, b []byte) map[protowire.Number][]any {
	t.Helper()
	out := map[protowire.Number][]any{}
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		b = b[n:]
		var v any
		switch typ {
		case protowire.VarintType:
			v, n = protowire.ConsumeVarint(b)
		case protowire.Fixed64Type:
			var u uint64
			u, n = protowire.ConsumeFixed64(b)
			v = math.Float64frombits(u)
		case protowire.Fixed32Type:
			var u uint32
			u, n = protowire.ConsumeFixed32(b)
			v = math.Float32frombits(u)
		case protowire.BytesType:
			v, n = protowire.ConsumeBytes(b)
		default:
			t.Fatalf("wire type %v", typ)
		}
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		out[num] = append(out[num], v)
		b = b[n:]
	}
	return out
}

// records undoes the framing and checks both checksums of every record, with a
// mask of its own.
func records(t *testing.T, b []byte) (out [][]byte) {
	t.Helper()
	sum := func(b []byte) uint32 {
		c := uint64(crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
		return uint32((c/32768 + c*131072) + 0xa282ead8)
	}
	for len(b) > 0 {
		n := binary.LittleEndian.Uint64(b)
		if got := binary.LittleEndian.Uint32(b[8:]); got != sum(b[:8]) {
			t.Fatalf("checksum of the length: %08x", got)
		}
		data := b[12 : 12+n]
		if got := binary.LittleEndian.Uint32(b[12+n:]); got != sum(data) {
			t.Fatalf("checksum of the data: %08x", got)
		}
		out, b = append(out, data), b[16+n:]
	}
	return out
}

func doubles(b []byte) (out []float64) {
	for ; len(b) > 0; b = b[8:] {
		out = append(out, math.Float64frombits(binary.LittleEndian.Uint64(b)))
	}
	return out
}

func TestEvents(t *testing.T) {
	var buf bytes.Buffer
	e, err := NewEvents(&buf, func() time.Time { return time.Unix(1700000000, 5e8) })
	if err != nil {
		t.Fatal(err)
	}
	pic := image.NewGray(image.Rect(0, 0, 3, 2))
	for _, err := range []error{
		e.Scalar("loss/train", 7, 0.25),
		e.Histogram("queries", 300, []float64{2, 4, 4, 62, math.NaN()}),
		e.Histogram("none", 300, []float64{math.NaN()}),
		e.Image("most queried", 9, pic),
		e.Start(12),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	r := records(t, buf.Bytes())
	if len(r) != 6 {
		t.Fatalf("%d records, want 6", len(r))
	}
	for _, b := range r[4:] { // readers drop nothing at the first one of a run
		start := fields(t, b)
		if start[2][0].(uint64) != 12 || fields(t, start[7][0].([]byte))[1][0].(uint64) != 1 {
			t.Errorf("session log %v", start)
		}
	}
	first := fields(t, r[0])
	if string(first[3][0].([]byte)) != "brain.Event:2" || first[1][0].(float64) != 1700000000.5 {
		t.Errorf("first record %v", first)
	}
	value := func(i int, step uint64, tag string) map[protowire.Number][]any {
		t.Helper()
		ev := fields(t, r[i])
		v := fields(t, fields(t, ev[5][0].([]byte))[1][0].([]byte))
		if ev[2][0].(uint64) != step || string(v[1][0].([]byte)) != tag {
			t.Errorf("record %d: step %v, tag %s", i, ev[2], v[1])
		}
		return v
	}
	if v := value(1, 7, "loss/train"); v[2][0].(float32) != 0.25 {
		t.Errorf("scalar %v", v)
	}
	h := fields(t, value(2, 300, "queries")[5][0].([]byte))
	want := map[protowire.Number]float64{1: 2, 2: 62, 3: 4, 4: 72, 5: 4 + 16 + 16 + 62*62}
	for k, w := range want {
		if h[k][0].(float64) != w {
			t.Errorf("histogram field %d: %v, want %v", k, h[k], w)
		}
	}
	limits, counts := doubles(h[6][0].([]byte)), doubles(h[7][0].([]byte))
	if len(limits) != 30 || len(counts) != 30 || limits[0] != 4 || counts[0] != 3 || limits[29] != 62 || counts[29] != 1 {
		t.Errorf("limits %v, counts %v", limits, counts)
	}
	im := fields(t, value(3, 9, "most queried")[4][0].([]byte))
	got, err := png.Decode(bytes.NewReader(im[4][0].([]byte)))
	if err != nil || im[1][0].(uint64) != 2 || im[2][0].(uint64) != 3 || got.Bounds() != pic.Bounds() {
		t.Errorf("image %v by %v, %v", im[2], im[1], err)
	}
}

// Every event file of TensorFlow begins with these twelve bytes: the length of
// its version record, 24, and the masked checksum of that length.
func TestBeginsAsTensorFlow(t *testing.T) {
	var buf bytes.Buffer
	if _, err := NewEvents(&buf, time.Now); err != nil {
		t.Fatal(err)
	}
	want := []byte{0x18, 0, 0, 0, 0, 0, 0, 0, 0xa3, 0x7f, 0x4b, 0x22}
	if got := buf.Bytes()[:12]; !bytes.Equal(got, want) {
		t.Errorf("% x, want % x", got, want)
	}
}

func TestHistogramEdges(t *testing.T) {
	for _, v := range [][]float64{{5, 5, 5}, {0}, {-3}, {-math.MaxFloat64, math.MaxFloat64}, {1, math.Inf(1)}} {
		h, ok := histogram(v)
		if !ok {
			t.Fatalf("%v: none", v)
		}
		f := fields(t, h)
		limits, counts := doubles(f[6][0].([]byte)), doubles(f[7][0].([]byte))
		var n float64
		for i, c := range counts {
			n += c
			if i > 0 && limits[i] <= limits[i-1] {
				t.Errorf("%v: limits %v", v, limits)
			}
		}
		if n != f[3][0].(float64) {
			t.Errorf("%v: %v values in buckets, %v counted", v, n, f[3])
		}
	}
}

func TestOpenEvents(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "tb")
	for range 2 {
		e, c, err := OpenEvents(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Scalar("x", 1, 2); err != nil {
			t.Fatal(err)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "events.out.tfevents.*"))
	if err != nil || len(files) != 2 {
		t.Fatalf("%v, %v", files, err)
	}
	// a file from after a leap of the clock, and one begun before it was set back
	if err := os.WriteFile(filepath.Join(dir, eventsPrefix+"19999999999.flops.1.1"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	_, c, err := OpenEvents(dir)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if later, err := filepath.Glob(filepath.Join(dir, eventsPrefix+"20000000000.*")); err != nil || len(later) != 1 {
		t.Errorf("%v, %v", later, err)
	}
	b, err := os.ReadFile(files[0])
	if err != nil || len(records(t, b)) != 2 {
		t.Error(fmt.Errorf("%s: %w", files[0], err))
	}
}
