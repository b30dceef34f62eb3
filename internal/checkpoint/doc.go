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
package checkpoint
