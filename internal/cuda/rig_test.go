package cuda

import (
	"math"
	"testing"
	"unsafe"

	"github.com/flops-vit/flops/noise"
)

// rig is a device of a test with a few helpers; what it puts on the device is
// freed when the test ends.
type rig struct {
	*Device
	t testing.TB
}

func newRig(t testing.TB, n Noise) *rig {
	t.Helper()
	return &rig{NewDevice(testDriver(t), n), t}
}

func bytesOf[T any](v []T) []byte {
	if len(v) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&v[0])), len(v)*int(unsafe.Sizeof(v[0])))
}

// room is device memory of n bytes.
func (r *rig) room(n int) Ptr {
	r.t.Helper()
	p, err := r.Alloc(int64(max(n, 4))) // a driver refuses an empty allocation
	r.ok(err)
	r.t.Cleanup(func() { r.ok(r.Free(p)) })
	return p
}

func put[T any](r *rig, v []T) Ptr {
	r.t.Helper()
	b := bytesOf(v)
	p := r.room(len(b))
	r.ok(r.Upload(p, b, Compute))
	return p
}

func (r *rig) floats(p Ptr, n int) []float32 {
	r.t.Helper()
	v := make([]float32, n)
	r.ok(r.Download(bytesOf(v), p, Compute))
	r.ok(r.Sync())
	return v
}

func (r *rig) ok(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// random is n normal numbers of a stream.
func random(n int, stream uint32) []float32 {
	g := noise.Rand(1, noise.Test, stream)
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(g.Normal())
	}
	return v
}

// near fails where a value is further from its reference than tol times
// 1 + |reference|, or is no number.
func near(t testing.TB, what string, got []float32, want []float64, tol float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	for i, g := range got {
		if d := math.Abs(float64(g) - want[i]); !(d <= tol*(1+math.Abs(want[i]))) {
			t.Fatalf("%s: value %d is %v, want %v (off by %.2e)", what, i, g, want[i], d)
		}
	}
}

// equal fails where bits differ.
func equal(t testing.TB, what string, got, want []float32) {
	t.Helper()
	for i := range want {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			t.Fatalf("%s: value %d is %v, want %v bit for bit", what, i, got[i], want[i])
		}
	}
}

// ulps is the distance of got from want in units of want's last place.
func ulps(got float32, want float64) float64 {
	return math.Abs(float64(got)-want) / ulp(float32(want))
}

func ulp(w float32) float64 {
	_, e := math.Frexp(float64(w))
	return math.Ldexp(1, max(e-24, -149))
}
