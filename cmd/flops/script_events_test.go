package main

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"
	"google.golang.org/protobuf/encoding/protowire"
)

// eventSteps are the steps of each tag as a reader of TensorBoard's files shows
// them, with the kinds of its values: the files in the order of their names, and
// at a second SessionLog START what is at its step or after it dropped.
type eventSteps struct {
	steps   map[string][]uint64
	kinds   map[string][]protowire.Number
	started bool
}

// events wants a tag at the steps 1 to N, each once and in order, and one kind of
// value under every tag.
//
//	events DIR TAG N
func events(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: events DIR TAG N")
	}
	files, err := filepath.Glob(filepath.Join(ts.MkAbs(args[0]), "events.out.tfevents.*"))
	ts.Check(err)
	slices.Sort(files)
	e := eventSteps{steps: map[string][]uint64{}, kinds: map[string][]protowire.Number{}}
	for _, f := range files {
		raw, err := os.ReadFile(f)
		ts.Check(err)
		for len(raw) >= 12 {
			n := binary.LittleEndian.Uint64(raw)
			if uint64(len(raw)) < 16+n {
				break // torn by a kill
			}
			e.record(raw[12 : 12+n])
			raw = raw[16+n:]
		}
	}
	for tag, k := range e.kinds {
		if len(k) != 1 {
			ts.Fatalf("%s has values of the kinds %v", tag, k)
		}
	}
	n, err := strconv.Atoi(args[2])
	ts.Check(err)
	var want []uint64
	for i := range n {
		want = append(want, uint64(i+1))
	}
	if got := e.steps[args[1]]; !slices.Equal(got, want) {
		ts.Fatalf("%s of %d files has steps %v", args[1], len(files), got)
	}
}

// record reads an Event.
func (e *eventSteps) record(b []byte) {
	f := messageFields(b)
	step, _ := protowire.ConsumeVarint(f[2])
	if status, _ := protowire.ConsumeVarint(messageFields(f[7])[1]); status == 1 {
		if e.started {
			for tag := range e.steps {
				e.steps[tag] = slices.DeleteFunc(e.steps[tag], func(s uint64) bool { return s >= step })
			}
		}
		e.started = true
	}
	value := messageFields(messageFields(f[5])[1])
	if tag := string(value[1]); tag != "" {
		e.steps[tag] = append(e.steps[tag], step)
		for _, k := range []protowire.Number{2, 4, 5} { // simple_value, image, histo
			if value[k] != nil && !slices.Contains(e.kinds[tag], k) {
				e.kinds[tag] = append(e.kinds[tag], k)
			}
		}
	}
}

// messageFields are the bytes of a message's fields; of one that is there twice
// the last.
func messageFields(b []byte) map[protowire.Number][]byte {
	out := map[protowire.Number][]byte{}
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return out
		}
		size := protowire.ConsumeFieldValue(num, typ, b[n:])
		if size < 0 {
			return out
		}
		v := b[n : n+size]
		if typ == protowire.BytesType {
			v, _ = protowire.ConsumeBytes(v)
		}
		out[num], b = v, b[n+size:]
	}
	return out
}
