// Package jpegrgb decodes JPEG files to the pixels that libjpeg-turbo makes
// with its default settings, which are those of PIL, OpenCV and every pipeline
// built on them. The standard library's decoder rounds its inverse transform
// and interpolates colour differently; a model's logits then move by tenths,
// and figures from Python cannot be repeated.
//
// Baseline, extended sequential and progressive files of 8 bits a sample agree
// with libjpeg-turbo 2.1 (djpeg) byte for byte: every combination of sampling
// factors that it reads, restart intervals, scans in any order, and the
// smoothing of blocks whose AC coefficients a progressive file does not give in
// full. The colour space is guessed by its rules (see guessSpace). Adobe's
// CMYK and YCCK become RGB as PIL's convert("RGB") makes it.
//
// Refused by name, with ErrUnsupported: arithmetic coding, lossless and
// hierarchical files, 12 bits a sample, four components without Adobe's marker,
// and what libjpeg refuses too (fractional sampling, a height given by DNL).
//
// Where libjpeg fills in grey for data that is not there, with a warning that
// most programs never show, Decode returns an error: a file that ends inside
// its image data, a restart interval cut short, a component without a scan.
// Bytes that no pixel depends on are skipped as libjpeg does: fill bytes, stray
// bytes before a marker, anything after the end of the image, a missing EOI
// marker behind a whole image.
//
// Memory is about 3 bytes a pixel for the result and one for each sample, and
// two more for each sample of a progressive file. It is taken only when the
// file has at least one bit for each block of 64 samples.
package jpegrgb
