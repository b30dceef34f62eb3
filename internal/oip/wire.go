package oip

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
)

// The documents of the Open Inference Protocol (KServe v2), as far as images in
// and logits out need them. Triton's binary tensor extension puts a tensor's
// bytes, little-endian, behind the JSON, whose length is then in a header.
const (
	headerLength    = "Inference-Header-Content-Length"
	binaryExtension = "binary_tensor_data"
	fp32            = "FP32"
)

type wireTensor struct {
	Name       string          `json:"name"`
	Shape      []int64         `json:"shape"`
	Datatype   string          `json:"datatype"`
	Parameters *wireParameters `json:"parameters,omitempty"`
	Data       json.RawMessage `json:"data,omitempty"`
}

type wireParameters struct {
	BinaryDataSize   *int64 `json:"binary_data_size,omitempty"`
	BinaryData       *bool  `json:"binary_data,omitempty"`
	BinaryDataOutput *bool  `json:"binary_data_output,omitempty"`

	// Triton's extensions that would change the answer. They are not spoken
	// here, and a request that asks for one is refused.
	Classification *json.RawMessage `json:"classification,omitempty"`
	SharedMemory   *json.RawMessage `json:"shared_memory_region,omitempty"`
}

// foreign names the first parameter that asks for what is not done here.
func (p *wireParameters) foreign() string {
	switch {
	case p == nil:
	case p.Classification != nil:
		return "classification"
	case p.SharedMemory != nil:
		return "shared_memory_region"
	}
	return ""
}

type wireOutput struct {
	Name       string          `json:"name"`
	Parameters *wireParameters `json:"parameters,omitempty"`
}

type inferRequest struct {
	ID         string          `json:"id,omitempty"`
	Parameters *wireParameters `json:"parameters,omitempty"`
	Inputs     []wireTensor    `json:"inputs"`
	Outputs    []wireOutput    `json:"outputs,omitempty"`
}

type inferResponse struct {
	ModelName string       `json:"model_name"`
	ID        string       `json:"id,omitempty"`
	Outputs   []wireTensor `json:"outputs"`
}

type serverMetadata struct {
	Name       string   `json:"name"`
	Version    string   `json:"version"`
	Extensions []string `json:"extensions"`
}

// Metadata is what a model says of itself: the document of GET /v2/models/NAME, and
// what a program answers to describe.
type Metadata struct {
	Name     string       `json:"name"`
	Versions []string     `json:"versions,omitempty"`
	Platform string       `json:"platform"`
	Inputs   []TensorMeta `json:"inputs"`
	Outputs  []TensorMeta `json:"outputs"`
}

// bytesPerNumber bounds one number in JSON with its comma and some white space:
// the longest float64 of any usual writer has 24 characters.
const bytesPerNumber = 40

// jsonFloats writes a flat JSON array, each number in the fewest digits that
// read back as the same float32.
func jsonFloats(v []float32) json.RawMessage {
	b := make([]byte, 0, 12*len(v)+2)
	b = append(b, '[')
	for i, x := range v {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendFloat(b, float64(x), 'g', -1, 32)
	}
	return append(b, ']')
}

// readFloats reads a JSON array of want finite numbers, flat or nested in
// row-major order, as both stand in the protocol. raw is valid JSON.
func readFloats(raw json.RawMessage, want int) ([]float32, error) {
	if len(raw) == 0 || raw[0] != '[' {
		return nil, errors.New("is no array of numbers")
	}
	out := make([]float32, 0, min(want, len(raw)/2+1))
	for i := 0; i < len(raw); {
		switch c := raw[i]; {
		case c == '[' || c == ']' || c == ',' || c == ' ' || c == '\n' || c == '\t' || c == '\r':
			i++
		case c == '-' || (c >= '0' && c <= '9'):
			end := i + 1
			for end < len(raw) && bytes.IndexByte([]byte("+-.eE0123456789"), raw[end]) >= 0 {
				end++
			}
			x, err := strconv.ParseFloat(string(raw[i:end]), 32)
			if err != nil {
				return nil, fmt.Errorf("holds %s, which is no float32", raw[i:end])
			}
			if len(out) == want {
				return nil, fmt.Errorf("holds more than %d numbers", want)
			}
			out, i = append(out, float32(x)), end
		default:
			return nil, fmt.Errorf("holds %.20q among its numbers", raw[i:])
		}
	}
	if len(out) != want {
		return nil, fmt.Errorf("holds %d numbers, its shape says %d", len(out), want)
	}
	return out, nil
}

// AppendFloats appends numbers as bytes, little-endian.
func AppendFloats(b []byte, v []float32) []byte {
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return b
}

// Floats reads what AppendFloats wrote.
func Floats(b []byte) []float32 {
	v := make([]float32, len(b)/4)
	for i := range v {
		v[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return v
}

// notFinite is the position of the first NaN or infinity, or −1.
func notFinite(v []float32) int {
	for i, x := range v {
		if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
			return i
		}
	}
	return -1
}

func ptr[T any](v T) *T { return &v }
