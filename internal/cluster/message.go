package cluster

import (
	"errors"
	"math"

	"github.com/flops-vit/flops/internal/remote"
)

// Every message between the ends of a run has the CRC-32C of the rest as its last 4 bytes:
// what a network has damaged is no message. Those of flops.RUN.work are little-endian; a
// list is a 4-byte count and its items.
//
// A request:
//
//	1   version, 2
//	8   epoch
//	8   worker
//	4   step that the worker is at
//	4   bytes that it has of that step's record
//	1   1: the digest of its weights follows
//	32  digest
//	1   1: a result follows
//	4   step
//	2   part
//	4   first image
//	4   images
//	4   microseconds that it took
//	list  float32, losses
//
// A reply:
//
//	1   version, 2
//	1   verdict on the result
//	1   kind, and by it
//	task    4 step, 2 part, 4 first image, list of uint32: queries of each image
//	record  4 step, 4 length, 4 offset, list of bytes from there
//	leave   list of bytes, why
//	asks    4 step, 4 number, list of names of images: 1 set, 4 image, 4 direction, 1 sign

const version = 2

// verdict is what became of a result.
type verdict uint8

const (
	nothing verdict = iota
	accepted
	known // somebody was faster
	stale // of a step that is over
	lastVerdict
)

// kind is what a reply brings.
type kind uint8

const (
	wait   kind = iota // nothing to do yet
	task               // queries to answer
	record             // a step that is over, or a part of its record
	again              // the run stands elsewhere: say hello
	leave              // the run goes on without this worker
	done               // the run has ended
	asks               // a called model is to be asked
	lastKind
)

// result is what a worker answered.
type result struct {
	step   uint32
	part   uint16
	first  uint32
	images uint32
	micros uint32
	losses []float32
}

// request is a worker's.
type request struct {
	epoch, worker uint64
	step          uint32
	have          uint32
	digest        *[32]byte
	result        *result
}

// reply is the coordinator's.
type reply struct {
	verdict verdict
	kind    kind
	step    uint32
	part    uint16
	first   uint32
	counts  []uint32
	length  uint32 // of the record
	offset  uint32
	piece   []byte // of the record, or why to leave
	names   []remote.Name
}

var errMessage = errors.New("cluster: a message that is none of this protocol")

func (r *request) encode() []byte {
	e := encoder{}
	e.u8(version)
	e.u64(r.epoch)
	e.u64(r.worker)
	e.u32(r.step)
	e.u32(r.have)
	e.flag(r.digest != nil)
	if r.digest != nil {
		e.b = append(e.b, r.digest[:]...)
	}
	e.flag(r.result != nil)
	if x := r.result; x != nil {
		e.u32(x.step)
		e.u16(x.part)
		e.u32(x.first)
		e.u32(x.images)
		e.u32(x.micros)
		e.u32(uint32(len(x.losses)))
		for _, v := range x.losses {
			e.u32(math.Float32bits(v))
		}
	}
	return e.b
}

func decodeRequest(b []byte) (*request, error) {
	d := decoder{b: b}
	d.bad = d.u8() != version
	r := &request{epoch: d.u64(), worker: d.u64(), step: d.u32(), have: d.u32()}
	if d.flag() {
		r.digest = (*[32]byte)(d.take(32))
	}
	if d.flag() {
		x := &result{step: d.u32(), part: d.u16(), first: d.u32(), images: d.u32(), micros: d.u32()}
		n := d.count(4)
		if n > 0 {
			x.losses = make([]float32, n)
		}
		for i := range x.losses {
			x.losses[i] = math.Float32frombits(d.u32())
		}
		r.result = x
	}
	return r, d.end()
}

func (r *reply) encode() []byte {
	e := encoder{}
	e.u8(version)
	e.u8(uint8(r.verdict))
	e.u8(uint8(r.kind))
	switch r.kind {
	case task:
		e.u32(r.step)
		e.u16(r.part)
		e.u32(r.first)
		e.u32(uint32(len(r.counts)))
		for _, n := range r.counts {
			e.u32(n)
		}
	case record:
		e.u32(r.step)
		e.u32(r.length)
		e.u32(r.offset)
		e.bytes(r.piece)
	case leave:
		e.bytes(r.piece)
	case asks:
		e.u32(r.step)
		e.u32(r.first)
		e.u32(uint32(len(r.names)))
		for _, n := range r.names {
			e.u8(uint8(n.Set))
			e.u32(uint32(n.Image))
			e.u32(uint32(n.Pair))
			e.u8(uint8(n.Sign))
		}
	}
	return e.b
}

func decodeReply(b []byte) (*reply, error) {
	d := decoder{b: b}
	d.bad = d.u8() != version
	r := &reply{verdict: verdict(d.u8()), kind: kind(d.u8())}
	d.bad = d.bad || r.verdict >= lastVerdict || r.kind >= lastKind
	switch r.kind {
	case task:
		r.step, r.part, r.first = d.u32(), d.u16(), d.u32()
		if n := d.count(4); n > 0 {
			r.counts = make([]uint32, n)
		}
		for i := range r.counts {
			r.counts[i] = d.u32()
		}
	case record:
		r.step, r.length, r.offset = d.u32(), d.u32(), d.u32()
		r.piece = d.bytes()
		d.bad = d.bad || uint64(r.offset)+uint64(len(r.piece)) > uint64(r.length)
	case leave:
		r.piece = d.bytes()
	case asks:
		r.step, r.first = d.u32(), d.u32()
		if n := d.count(10); n > 0 {
			r.names = make([]remote.Name, n)
		}
		for i := range r.names {
			n := remote.Name{Set: remote.Set(d.u8()), Image: int32(d.u32()), Pair: int32(d.u32()), Sign: int8(d.u8())}
			d.bad = d.bad || !n.Set.Known() || n.Image < 0 || n.Pair < 0 || n.Sign < -1 || n.Sign > 1
			r.names[i] = n
		}
	}
	return r, d.end()
}
