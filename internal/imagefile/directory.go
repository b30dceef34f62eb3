package imagefile

import (
	"bytes"
	"encoding/binary"
)

// maxValues is the most values of a tag that are read; the sizes, formats and
// orientations that are wanted have fewer.
const maxValues = 16

// directory is the first one of a TIFF stream.
type directory struct {
	stream []byte
	order  binary.ByteOrder
	fields map[uint16][]byte // the 12 bytes of each tag
	cut    bool              // the stream ends before the directory, or the values of a tag, do
}

// readDirectory reads the first directory of a TIFF stream. Of one that is
// damaged or cut it is what comes before, perhaps nothing.
func readDirectory(b []byte) directory {
	d := directory{stream: b, order: binary.LittleEndian, fields: map[uint16][]byte{}}
	switch {
	case bytes.HasPrefix(b, []byte("MM\x00\x2a")):
		d.order = binary.BigEndian
	case !bytes.HasPrefix(b, []byte("II\x2a\x00")):
		return d
	}
	if d.cut = len(b) < 8; d.cut {
		return d
	}
	at := int64(d.order.Uint32(b[4:]))
	if d.cut = at+2 > int64(len(b)); d.cut {
		return d
	}
	entries := b[at+2:]
	for range d.order.Uint16(b[at:]) {
		if d.cut = d.cut || len(entries) < 12; len(entries) < 12 {
			break
		}
		d.fields[d.order.Uint16(entries)] = entries[:12]
		if d.raw(entries[:12]) == nil {
			d.cut = true
		}
		entries = entries[12:]
	}
	return d
}

// widths are the bytes of the types of TIFF 6.0.
var widths = [...]int64{0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8}

// raw is the bytes of a field's values, nil where they lie outside the stream.
func (d directory) raw(field []byte) []byte {
	kind, n := d.order.Uint16(field[2:]), int64(d.order.Uint32(field[4:]))
	if int(kind) < len(widths) {
		n *= widths[kind]
	}
	if n <= 4 {
		return field[8 : 8+n]
	}
	from := int64(d.order.Uint32(field[8:]))
	if from+n > int64(len(d.stream)) {
		return nil
	}
	return d.stream[from : from+n]
}

// bytes is the values of a tag as they stand there, nil where it is absent.
func (d directory) bytes(tag uint16) []byte {
	field, ok := d.fields[tag]
	if !ok {
		return nil
	}
	return d.raw(field)
}

// values is the first values of a tag of bytes, shorts or longs; empty for
// other types and where the tag is absent.
func (d directory) values(tag uint16) []uint32 {
	raw := d.bytes(tag)
	var out []uint32
	for len(raw) > 0 && len(out) < maxValues {
		switch d.order.Uint16(d.fields[tag][2:]) {
		case 1:
			out, raw = append(out, uint32(raw[0])), raw[1:]
		case 3:
			out, raw = append(out, uint32(d.order.Uint16(raw))), raw[2:]
		case 4:
			out, raw = append(out, d.order.Uint32(raw)), raw[4:]
		default:
			return nil
		}
	}
	return out
}

// first is the first value of a tag, or what it is where the tag is absent.
func (d directory) first(tag uint16, absent uint32) uint32 {
	if v := d.values(tag); len(v) > 0 {
		return v[0]
	}
	return absent
}

// setOne makes a number the only value of a tag that is there.
func (d directory) setOne(tag uint16, v uint32) {
	field := d.fields[tag]
	d.order.PutUint16(field[2:], 4)
	d.order.PutUint32(field[4:], 1)
	d.order.PutUint32(field[8:], v)
}
