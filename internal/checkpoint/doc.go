// Package checkpoint keeps a run's checkpoints: the model after a step, in Hugging
// Face layout, with all else that the run needs to go on from there. Everything
// written is written beside its place, synced and renamed; everything read is
// compared with its manifest. "last" and "best" are resolved here (Pointed), for
// packages that read folders.
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
