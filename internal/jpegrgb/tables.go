package jpegrgb

import (
	"encoding/binary"
	"errors"
)

// zigzag maps the order of the coefficients in a file to rows of 8.
var zigzag = [64]uint8{
	0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5,
	12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
	35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
	58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
}

// quantTables reads the tables of a DQT segment, of 8 or 16 bits.
func (d *decoder) quantTables(b []byte) error {
	for len(b) > 0 {
		wide, id := b[0]>>4 != 0, b[0]&15
		n := 64
		if wide {
			n = 128
		}
		if id > 3 {
			return errors.New("bad quantisation table")
		}
		if len(b) < 1+n {
			return missing("a quantisation table")
		}
		t := new([64]int32)
		for i, k := range zigzag {
			if wide {
				t[k] = int32(binary.BigEndian.Uint16(b[1+2*i:]))
			} else {
				t[k] = int32(b[1+i])
			}
		}
		d.quant[id] = t
		b = b[1+n:]
	}
	return nil
}

// huffmanTables reads the tables of a DHT segment. Whether their codes make
// sense is known where a scan uses them, as in libjpeg.
func (d *decoder) huffmanTables(b []byte) error {
	for len(b) > 16 {
		class, id := b[0]>>4, b[0]&15
		n := 0
		for _, c := range b[1:17] {
			n += int(c)
		}
		if class > 1 || id > 3 || n > 256 || n > len(b)-17 {
			return errors.New("bad Huffman table")
		}
		d.huff[class][id] = newHuffman([16]uint8(b[1:17]), b[17:17+n])
		b = b[17+n:]
	}
	if len(b) > 0 {
		return errors.New("bad Huffman table")
	}
	return nil
}

// standardTables fills in the tables of T.81, section K.3, that a sequential
// file left out: frames of Motion JPEG do.
func (d *decoder) standardTables() {
	for class, pair := range standard {
		for id, s := range pair {
			if d.huff[class][id] == nil {
				d.huff[class][id] = newHuffman(s.counts, []uint8(s.values))
			}
		}
	}
}

// standard has the tables of T.81 by class, DC and AC, for luminance and for
// chrominance.
var standard = [2][2]struct {
	counts [16]uint8
	values string
}{
	{
		{[16]uint8{0, 1, 5, 1, 1, 1, 1, 1, 1}, "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b"},
		{[16]uint8{0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1}, "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b"},
	},
	{
		{[16]uint8{0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 0x7d}, "" +
			"\x01\x02\x03\x00\x04\x11\x05\x12\x21\x31\x41\x06\x13\x51\x61\x07\x22\x71\x14\x32\x81\x91\xa1\x08" +
			"\x23\x42\xb1\xc1\x15\x52\xd1\xf0\x24\x33\x62\x72\x82\x09\x0a\x16\x17\x18\x19\x1a\x25\x26\x27\x28" +
			"\x29\x2a\x34\x35\x36\x37\x38\x39\x3a\x43\x44\x45\x46\x47\x48\x49\x4a\x53\x54\x55\x56\x57\x58\x59" +
			"\x5a\x63\x64\x65\x66\x67\x68\x69\x6a\x73\x74\x75\x76\x77\x78\x79\x7a\x83\x84\x85\x86\x87\x88\x89" +
			"\x8a\x92\x93\x94\x95\x96\x97\x98\x99\x9a\xa2\xa3\xa4\xa5\xa6\xa7\xa8\xa9\xaa\xb2\xb3\xb4\xb5\xb6" +
			"\xb7\xb8\xb9\xba\xc2\xc3\xc4\xc5\xc6\xc7\xc8\xc9\xca\xd2\xd3\xd4\xd5\xd6\xd7\xd8\xd9\xda\xe1\xe2" +
			"\xe3\xe4\xe5\xe6\xe7\xe8\xe9\xea\xf1\xf2\xf3\xf4\xf5\xf6\xf7\xf8\xf9\xfa",
		},
		{[16]uint8{0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 0x77}, "" +
			"\x00\x01\x02\x03\x11\x04\x05\x21\x31\x06\x12\x41\x51\x07\x61\x71\x13\x22\x32\x81\x08\x14\x42\x91" +
			"\xa1\xb1\xc1\x09\x23\x33\x52\xf0\x15\x62\x72\xd1\x0a\x16\x24\x34\xe1\x25\xf1\x17\x18\x19\x1a\x26" +
			"\x27\x28\x29\x2a\x35\x36\x37\x38\x39\x3a\x43\x44\x45\x46\x47\x48\x49\x4a\x53\x54\x55\x56\x57\x58" +
			"\x59\x5a\x63\x64\x65\x66\x67\x68\x69\x6a\x73\x74\x75\x76\x77\x78\x79\x7a\x82\x83\x84\x85\x86\x87" +
			"\x88\x89\x8a\x92\x93\x94\x95\x96\x97\x98\x99\x9a\xa2\xa3\xa4\xa5\xa6\xa7\xa8\xa9\xaa\xb2\xb3\xb4" +
			"\xb5\xb6\xb7\xb8\xb9\xba\xc2\xc3\xc4\xc5\xc6\xc7\xc8\xc9\xca\xd2\xd3\xd4\xd5\xd6\xd7\xd8\xd9\xda" +
			"\xe2\xe3\xe4\xe5\xe6\xe7\xe8\xe9\xea\xf2\xf3\xf4\xf5\xf6\xf7\xf8\xf9\xfa",
		},
	},
}
