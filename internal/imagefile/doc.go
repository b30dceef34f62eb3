// Package imagefile reads picture files: JPEG, PNG, WebP, GIF, BMP and TIFF. It
// says which kinds are read and how, the same for everything that holds
// pictures: folders, parquet files, tar shards, single files.
//
// A file is recognised by its first bytes, never by its name. What its header
// claims is held against the bytes that are there before room is made for it.
// The pixels are those of PIL's Image.open(f).convert("RGB"), which is what
// Hugging Face's image processors see: JPEG as libjpeg decodes it
// (internal/jpegrgb), lossy WebP with libwebp's interpolation of colour,
// transparency dropped so that the colour under it stays, of an animation the
// first picture. 16 bits are cut to their upper 8.
//
// A picture with an orientation (EXIF, or XMP where EXIF has none) is turned
// upright unless Options say otherwise, as Hugging Face's datasets and PIL's
// ImageOps.exif_transpose do.
package imagefile
