// Package safetensors reads and writes tensors in the safetensors format, alone in a
// file or as the weights of a folder. A file is checked whole before memory is
// allocated on its word. All numbers are little-endian.
//
//	8 bytes   N, the length of the header
//	N bytes   JSON {"__metadata__": {...}, NAME: {"dtype", "shape", "data_offsets": [begin, end]}, ...}
//	          filled up with blanks to a multiple of 8
//	rest      the tensors, row-major; data_offsets count from here
//
// A header is refused when N is past the file or 100 MiB, the JSON is cut short
// or not UTF-8, a name or key stands twice or is unknown, a number is not a
// whole one, a dtype is unknown, shape and offsets disagree or overflow, or the
// tensors leave a gap, overlap, or do not end with the file.
// (https://github.com/huggingface/safetensors#format)
package safetensors
