package jpegrgb

import "encoding/binary"

// marker starts a marker, now and then behind stray and fill bytes.
func (e *encoder) marker(m byte) {
	if e.IntN(10) == 0 && m != 0xd8 {
		e.out = append(e.out, []string{"stray", "\x00", "\xff\x00\xff\x00"}[e.IntN(3)]...)
	}
	for range 1 + max(0, e.IntN(12)-9) {
		e.out = append(e.out, 0xff)
	}
	e.out = append(e.out, m)
}

func (e *encoder) segment(m byte, body []byte) {
	e.marker(m)
	e.out = binary.BigEndian.AppendUint16(e.out, uint16(2+len(body)))
	e.out = append(e.out, body...)
}

// header writes what comes before the first scan.
func (e *encoder) header() {
	if e.IntN(2) == 0 {
		e.jfif()
	}
	late := e.IntN(2) == 0
	adobe := func() {
		if len(e.comps) == 4 || e.IntN(2) == 0 {
			body := []byte{'A', 'd', 'o', 'b', 'e', 0, 100, 0, 0, 0, 0, byte(e.IntN(4))}
			if len(e.comps) == 3 && e.IntN(10) == 0 {
				body = body[:11] // not Adobe's
			}
			e.segment(0xee, body)
		}
	}
	if !late {
		adobe()
	}
	if e.IntN(4) == 0 {
		e.segment(0xfe, []byte("\xff\xd8 comment \xff\xd9"))
	}
	for id := range 4 {
		e.quant(id)
	}
	frame := []byte{8, byte(e.h >> 8), byte(e.h), byte(e.w >> 8), byte(e.w), byte(len(e.comps))}
	for _, c := range e.comps {
		frame = append(frame, byte(c.id), byte(c.h<<4|c.v), byte(c.tq))
	}
	kind := byte(0xc0 + e.IntN(2))
	if e.progressive {
		kind = 0xc2
	}
	e.segment(kind, frame)
	if late {
		adobe()
	}
	if e.IntN(10) == 0 {
		e.jfif()
	}
}

// jfif writes JFIF's marker, or one that is too short for it.
func (e *encoder) jfif() {
	const body = "JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
	e.segment(0xe0, []byte(body[:len(body)-max(0, e.IntN(10)-8)]))
}

// quant writes a quantisation table of 8 or 16 bits.
func (e *encoder) quant(id int) {
	wide, most := byte(e.IntN(2)), 40
	if e.wild && wide == 1 {
		most = 65535
	}
	body := []byte{wide<<4 | byte(id)}
	for range 64 {
		q := 1 + e.IntN(1+e.IntN(most))
		if wide == 1 {
			body = append(body, byte(q>>8))
		}
		body = append(body, byte(q))
	}
	e.segment(0xdb, body)
}
