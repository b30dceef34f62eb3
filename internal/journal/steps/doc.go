// Package steps has the record of a training step in a run's journal.
//
// The body of a record, little-endian, where a list is a 4-byte count and its items:
//
//	8         seed
//	list      int32   index of each image
//	1         0: counts have 2 bytes, 1: 4 bytes
//	list      uint16 or uint32, the allocation n_1..n_B
//	list      float64, values of the run
//	list      perturbations, each
//	    1         kind, forward.Kind
//	    4         step of the noise
//	    list      uint32, sites
//	    list      float32, σ
//	    list      uint32, parameters
//	    list      float32, c, or y of every output
//	    list      float32, means
//	list      float32, chances with which the images were drawn; the record may end before it
//	shares    one per perturbation; the record may end before them
//	    list      uint32, queries of each image; empty: the step's
//	    list      float32, chances
package steps
