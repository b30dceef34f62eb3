// Package data turns images on a disk, in the layouts people have them, into
// batches for a model. Open reads a dataset of any registered kind and applies
// the class filter, the few-shot subset and the validation split; a Transform
// makes an image the model's input; a Loader serves the batch of any step, so
// that a resumed run sees what an uninterrupted one would have seen.
//
// Everything random is a function of (seed, purpose, counter) by
// noise: the order of an epoch, a crop, the members of a split. The
// number of workers changes the speed and nothing else.
//
// Files are hostile until checked. A header's claim is compared with the bytes
// that are there before room is made for it, an image is at most MaxPixels,
// paths with ".." and links inside archives are refused, and every complaint
// is a *uierr.Error that names the file.
package data
