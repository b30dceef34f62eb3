package imagefile

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"testing"
)

// pngChunk appends a chunk with its checksum.
func pngChunk(b []byte, name string, body []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(body)))
	b = append(append(b, name...), body...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[len(b)-len(body)-4:]))
}

// rawPNG is a PNG of any kind that the format has.
type rawPNG struct {
	colour, depth       int
	seeThrough, adam7   bool
	w, h                int
	samples             []int // w·h pixels
	channels            int
	palette             []byte
	transparencyOfColor []byte // the body of tRNS
}

// newPNG fills a picture with samples of every value, alpha 0 among them.
func newPNG(colour, depth int, seeThrough, adam7 bool) *rawPNG {
	p := &rawPNG{colour: colour, depth: depth, seeThrough: seeThrough, adam7: adam7, w: 11, h: 9,
		channels: map[int]int{0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]}
	for i := range p.w * p.h * p.channels {
		v := (i*2654435761 + i*i*40503) >> 7 & (1<<depth - 1)
		if (colour == 4 || colour == 6) && i%p.channels == p.channels-1 && i%5 < 2 {
			v = 0
		}
		p.samples = append(p.samples, v)
	}
	if colour == 3 {
		for i := range 3 << depth {
			p.palette = append(p.palette, byte(i*89+3))
		}
	}
	if !seeThrough {
		return p
	}
	if colour == 3 {
		p.transparencyOfColor = make([]byte, 1<<depth-1) // all but the last colour are clear
		return p
	}
	for _, v := range p.samples[:p.channels] {
		p.transparencyOfColor = binary.BigEndian.AppendUint16(p.transparencyOfColor, uint16(v))
	}
	return p
}

// rows packs every dx-th pixel of every dy-th row.
func (p *rawPNG) rows(x0, y0, dx, dy int) []byte {
	var out []byte
	for y := y0; y < p.h && x0 < p.w; y += dy {
		out = append(out, 0) // no filter
		acc, bits := 0, 0
		for x := x0; x < p.w; x += dx {
			for _, v := range p.samples[(y*p.w+x)*p.channels:][:p.channels] {
				if p.depth == 16 {
					out = append(out, byte(v>>8), byte(v))
					continue
				}
				acc, bits = acc<<p.depth|v, bits+p.depth
				if bits == 8 {
					out, acc, bits = append(out, byte(acc)), 0, 0
				}
			}
		}
		if bits > 0 {
			out = append(out, byte(acc<<(8-bits)))
		}
	}
	return out
}

func (p *rawPNG) bytes() []byte {
	interlace, pixels := byte(0), p.rows(0, 0, 1, 1)
	if p.adam7 {
		interlace, pixels = 1, nil
		for _, s := range [][4]int{{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4}, {0, 2, 2, 4}, {1, 0, 2, 2},
			{0, 1, 1, 2}} {
			pixels = append(pixels, p.rows(s[0], s[1], s[2], s[3])...)
		}
	}
	var packed bytes.Buffer
	z := zlib.NewWriter(&packed)
	_, _ = z.Write(pixels) // to memory
	z.Close()
	header := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, uint32(p.w)), uint32(p.h))
	b := pngChunk([]byte(pngMagic), "IHDR", append(header, byte(p.depth), byte(p.colour), 0, 0, interlace))
	if p.palette != nil {
		b = pngChunk(b, "PLTE", p.palette)
	}
	if p.transparencyOfColor != nil {
		b = pngChunk(b, "tRNS", p.transparencyOfColor)
	}
	return pngChunk(pngChunk(b, "IDAT", packed.Bytes()), "IEND", nil)
}

// rgb is what PIL's convert("RGB") makes of it; of 16 bits the upper 8.
func (p *rawPNG) rgb(i int) [3]uint8 {
	level := func(v int) uint8 {
		if p.depth == 16 {
			return uint8(v >> 8)
		}
		return uint8(v * 255 / (1<<p.depth - 1))
	}
	s := p.samples[i*p.channels:]
	switch p.colour {
	case 3:
		return [3]uint8(p.palette[3*s[0]:])
	case 2, 6:
		return [3]uint8{level(s[0]), level(s[1]), level(s[2])}
	}
	return [3]uint8{level(s[0]), level(s[0]), level(s[0])}
}

// TestEveryPNG holds every colour type, depth, transparency and order of rows
// against the samples that were written. PIL reads the same from all, but for
// gray of 16 bits, whose values it cuts off at 255.
func TestEveryPNG(t *testing.T) {
	for colour, depths := range map[int][]int{0: {1, 2, 4, 8, 16}, 2: {8, 16}, 3: {1, 2, 4, 8}, 4: {8, 16}, 6: {8, 16}} {
		for _, depth := range depths {
			for k := range 4 {
				if k&1 == 1 && colour >= 4 {
					continue
				}
				p := newPNG(colour, depth, k&1 == 1, k&2 == 2)
				t.Run(fmt.Sprintf("colour %d of %d bits, tRNS %v, interlaced %v", colour, depth, p.seeThrough, p.adam7),
					func(t *testing.T) {
						im, err := Decode(p.bytes(), Options{})
						if err != nil {
							t.Fatal(err)
						}
						for i := range p.w * p.h {
							if got, want := [3]uint8(im.Pix[3*i:]), p.rgb(i); got != want {
								t.Fatalf("pixel %d: %v, want %v", i, got, want)
							}
						}
					})
			}
		}
	}
}
