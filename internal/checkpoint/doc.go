// Package checkpoint keeps what a run must not lose: models in Hugging Face
// layout, the state of a run after a step, its metrics and its journal.
// Everything written is written beside its place, synced and renamed; everything
// read is checked before memory is allocated on its word.
//
// All numbers are little-endian.
//
// # A model folder
//
//	config.json                      architecture and labels
//	preprocessor_config.json         size, mean and deviation; may be absent
//	model.safetensors                or
//	model.safetensors.index.json     {"weight_map": {TENSOR: FILE}} and the files
//
// # A checkpoint
//
//	RUN/checkpoints/
//	    step-N/
//	        config.json, preprocessor_config.json, model.safetensors
//	        optimizer.safetensors    the optimizer's tensors, F32
//	        state.json               {"format": 1, "step": N, "state": ...}
//	        MANIFEST
//	    last, best                   text, "step-N\n"
//	    .new-step-N                  being written
//	    .old-step-N                  being replaced by another of the same step
//	    .del-step-N                  being removed
//
// MANIFEST is text: the title "flops checkpoint 1", a line
// "SHA256 SIZE NAME" for each other file, and a line "SHA256 MANIFEST" with the
// sum of the lines before it.
//
// # Journal
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
// The body of a step, where a list is a 4-byte count and its items:
//
//	8         seed
//	list      int32   index of each image
//	1         0: counts have 2 bytes, 1: 4 bytes
//	list      uint16 or uint32, the allocation n_1..n_B
//	list      float64, values of the run
//	list      perturbations, each
//	    1         kind, query.Kind
//	    4         step of the noise
//	    list      uint32, sites
//	    list      float32, σ
//	    list      uint32, parameters
//	    list      float32, c
//	    list      float32, means
//
// answers.bin, which keeps what a model that is only called has answered, has the
// same framing. The body of an answer is the key of the image, 32 bytes, and its
// logits, float32; that of asked is an int32, how many images a request asks for,
// or, negative, how many one asked for in vain.
package checkpoint
