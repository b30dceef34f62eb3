// Package oip speaks the Open Inference Protocol (KServe v2), as far as images in
// and logits out need it, with Triton's binary tensors: Client asks a server,
// Handler and Serve answer for a model of our own. Both make one try of
// everything; a Fault says whether another is worth it.
package oip

import "encoding/json"

// Spec is what a model takes and gives, float32 both.
type Spec struct {
	Name                    string
	Input, Output           string // names of the tensors
	Channels, Height, Width int    // of an image
	Classes                 int    // outputs per image
	MaxBatch                int    // images of one request, 0: any number

	// Last says that the channels of a pixel stand together (NHWC), not the
	// planes of an image one after the other. Calls take planes all the same.
	Last bool
	// Preprocessing is what the model wants done to pictures; nil: its metadata do not say.
	Preprocessing *Preprocessing
	Labels        []string // names of the classes; empty: the metadata do not say
}

// Preprocessing is how the pixels that a model takes are made of a picture's
// levels, (level/255 − Mean)/Std in each channel.
type Preprocessing struct {
	Mean, Std []float32 // one number per channel
	// File is the whole of it, with how pictures are resized and cut, as a
	// preprocessor_config.json says it; nil: the metadata do not say.
	File json.RawMessage
}

// Pixels is the number of values of one image.
func (s Spec) Pixels() int { return s.Channels * s.Height * s.Width }
