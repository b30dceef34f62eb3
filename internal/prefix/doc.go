// Package prefix keeps what the frozen part of a network makes of images, so that
// it is made once per image and augmentation: in memory, or in a file that is
// mapped into it. What is kept are the float32 numbers themselves, so that a run
// with a cache takes the steps of one without. A file names the data, the weights,
// the preparation of images and the kernels that it was made by, is not used for
// others, and checks each record by its sum.
//
// A record is numbered by its owner (an image of a dataset, or one of its
// augmentations). One goroutine reads and writes records; any may ask Has.
package prefix

// Cache is where records are kept.
type Cache interface {
	// Has says whether a record is kept.
	Has(record int) bool
	// Recall is a record; nil: it is not kept. Where it is not in memory as it is, it
	// comes in buf, which is what an earlier Recall returned, or nil. Nobody but
	// Recall may write to what it returned.
	Recall(record int, buf []float32) ([]float32, error)
	// Keep keeps a record.
	Keep(record int, made []float32) error
	// Close frees the cache. A file stays for the next run.
	Close() error
}
