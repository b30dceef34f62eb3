package tokenizer

import (
	"errors"
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/flops-vit/flops/internal/jsonobj"
	"github.com/flops-vit/flops/internal/uierr"
)

// spModel is a SentencePiece model (ModelProto of sentencepiece_model.proto).
type spModel struct {
	pieces  []piece
	ids     map[string]int32 // of every piece
	usable  map[string]int32 // of those that text is cut into
	longest int              // bytes of the longest of them
	unknown int32
	bytes   [256]int32 // pieces of single bytes, where unknown characters fall back to them

	top, bottom  float32 // scores of usual pieces
	model        uint64  // kind of the model: unigramModel
	fallback     bool
	suffix       bool // white space ends a piece instead of beginning it
	dummyPrefix  bool
	removeSpaces bool
	escapeSpaces bool
	charsmap     *charsmap // nil: none
	userPieces   []string  // that are never normalised
}

type piece struct {
	text  string
	score float32
	kind  uint64
}

// The kinds of pieces.
const (
	pieceNormal  = 1
	pieceUnknown = 2
	pieceControl = 3
	pieceUser    = 4
	pieceUnused  = 5
	pieceByte    = 6

	unigramModel = 1
)

// mark stands for a space in pieces.
const mark = "\u2581"

var errCut = errors.New("the file ends in the middle, or is no SentencePiece model")

// fields calls each for every field of a message. Of a number v is its value, of
// bytes b.
func fields(raw []byte, each func(num protowire.Number, v uint64, b []byte) error) error {
	for len(raw) > 0 {
		num, typ, n := protowire.ConsumeTag(raw)
		if n < 0 {
			return errCut
		}
		raw = raw[n:]
		var v uint64
		var b []byte
		switch typ {
		case protowire.VarintType:
			v, n = protowire.ConsumeVarint(raw)
		case protowire.Fixed32Type:
			var f uint32
			f, n = protowire.ConsumeFixed32(raw)
			v = uint64(f)
		case protowire.BytesType:
			b, n = protowire.ConsumeBytes(raw)
		default:
			n = protowire.ConsumeFieldValue(num, typ, raw)
		}
		if n < 0 {
			return errCut
		}
		raw = raw[n:]
		if err := each(num, v, b); err != nil {
			return err
		}
	}
	return nil
}

// parseSP reads a model. Everything is checked that encode relies on.
func parseSP(raw []byte) (*spModel, error) {
	m := &spModel{ids: map[string]int32{}, usable: map[string]int32{}, unknown: -1, model: unigramModel,
		dummyPrefix: true, removeSpaces: true, escapeSpaces: true}
	err := fields(raw, func(num protowire.Number, _ uint64, b []byte) error {
		switch num {
		case 1:
			return m.addPiece(b)
		case 2:
			return m.trainer(b)
		case 3:
			return m.normaliser(b)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if m.model != unigramModel {
		return nil, uierr.New(fmt.Sprintf("%s: a SentencePiece model of kind %d", SPName, m.model),
			"SigLIP's is a unigram model (kind 1); others are not read")
	}
	if m.unknown < 0 {
		return nil, errors.New("there is no unknown piece")
	}
	if m.bounds(); m.fallback {
		for b := range m.bytes {
			name := fmt.Sprintf("<0x%02X>", b)
			id, ok := m.ids[name]
			if !ok {
				return nil, fmt.Errorf("byte_fallback without the piece %s", name)
			}
			m.bytes[b] = id
		}
	}
	return m, nil
}

func (m *spModel) addPiece(raw []byte) error {
	p := piece{kind: pieceNormal}
	err := fields(raw, func(num protowire.Number, v uint64, b []byte) error {
		switch num {
		case 1:
			p.text = string(b)
		case 2:
			p.score = math.Float32frombits(uint32(v))
		case 3:
			p.kind = v
		}
		return nil
	})
	if err != nil {
		return err
	}
	id := int32(len(m.pieces))
	switch {
	case id >= maxPieces:
		return fmt.Errorf("more than %d pieces", maxPieces)
	case p.text == "":
		return fmt.Errorf("piece %d is empty", id)
	case p.score-p.score != 0:
		return fmt.Errorf("piece %d has the score %v", id, p.score)
	}
	if _, twice := m.ids[p.text]; twice {
		return fmt.Errorf("piece %q stands twice", jsonobj.Clip(p.text))
	}
	m.ids[p.text] = id
	switch p.kind {
	case pieceUnknown:
		if m.unknown >= 0 {
			return errors.New("there are two unknown pieces")
		}
		m.unknown = id
	case pieceUser:
		m.userPieces = append(m.userPieces, p.text)
		fallthrough
	case pieceNormal:
		m.usable[p.text], m.longest = id, max(m.longest, len(p.text))
	case pieceControl, pieceUnused, pieceByte:
	default:
		return fmt.Errorf("piece %d is of kind %d", id, p.kind)
	}
	m.pieces = append(m.pieces, p)
	return nil
}

func (m *spModel) trainer(raw []byte) error {
	return fields(raw, func(num protowire.Number, v uint64, _ []byte) error {
		switch num {
		case 3:
			m.model = v
		case 24:
			m.suffix = v != 0
		case 35:
			m.fallback = v != 0
		}
		return nil
	})
}

func (m *spModel) normaliser(raw []byte) error {
	return fields(raw, func(num protowire.Number, v uint64, b []byte) (err error) {
		switch num {
		case 2:
			if len(b) > 0 {
				m.charsmap, err = parseCharsmap(b)
			}
		case 3:
			m.dummyPrefix = v != 0
		case 4:
			m.removeSpaces = v != 0
		case 5:
			m.escapeSpaces = v != 0
		}
		return err
	})
}
