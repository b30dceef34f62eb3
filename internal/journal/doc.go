// Package journal appends to files that may be cut short at any time: records in
// frames with a checksum (Writer, Reader), and lines of JSON (Lines). A file is read
// up to where it is sound, and a run goes on in it from the place that its last
// checkpoint holds. All numbers are little-endian.
//
//	8 bytes   "FLOPSJNL"
//	4         version, 1
//	32        hash of the experiment
//	4         CRC-32C of the 44 bytes before
//	then records:
//	4         n, the length of the body
//	4         step
//	1         kind: 1 step, 2 answer, 3 asked
//	n         body
//	4         CRC-32C of the 9+n bytes before
//
// The body of a step is that of package steps.
//
// answers.bin, which keeps what a model that is only called has answered, has the
// same framing. The body of an answer is the key of the image, 32 bytes, and its
// logits, float32; that of asked is an int32, how many images a request asks for,
// or, negative, how many one asked for in vain.
package journal
