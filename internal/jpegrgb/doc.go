// Package jpegrgb decodes JPEG files to the pixels that libjpeg makes with its
// default settings, which are those of PIL, OpenCV and every pipeline built on
// them. The standard library's decoder rounds its inverse transform and
// interpolates colour differently; a model's logits then move by tenths, and
// figures from Python cannot be repeated.
//
// Baseline and extended sequential files of one or three components (what
// cameras, datasets and PIL write) agree with libjpeg bit for bit. Progressive
// and CMYK files are decoded by image/jpeg, with libjpeg's chroma
// interpolation, and agree to one level.
package jpegrgb
