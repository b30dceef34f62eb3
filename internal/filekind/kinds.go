package filekind

const (
	convert = "convert it to JPEG or PNG"
	answer  = "it is often a server's word that a file could not be fetched; look into it and fetch the file again"
	address = "the address was not that of the file, or the server wanted a login; fetch the file again"
)

// kinds is the registry; the first that matches names the file.
var kinds = []kind{
	{"a Git LFS pointer, not the file that it stands for", "fetch the files themselves: git lfs pull",
		begins("version https://git-lfs.github.com/spec/", "version https://hawser.github.com/spec/",
			"version http://git-media.io/"), true},
	{"a web page (HTML)", address, isHTML, true},
	{"a file of torch.save: a Python pickle, which can run any code when it is read",
		"write the tensors as safetensors: " +
			"safetensors.torch.save_file(torch.load(PATH, weights_only=True), \"model.safetensors\")", isTorch, true},
	{"an HDF5 file", "write what is in it in a format that is read (docs/formats.md)",
		begins("\x89HDF\r\n\x1a\n"), true},
	{"an SVG drawing", convert + ": rsvg-convert -o OUT.png IN.svg", isSVG, false},
	{"XML text", answer, markup("<?xml"), true},
	{"JSON text", answer, isJSON, false},

	{"an AVIF picture, a kind that is not read", convert + ": avifdec IN.avif OUT.png", brand("avif", "avis"), false},
	{"a HEIC picture, a kind that is not read", convert + ": heif-convert IN.heic OUT.jpg",
		brand("heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1"), false},
	{"a raw photograph (CR3), a kind that is not read", convert, brand("crx "), false},
	{"a video", "take frames out of it: ffmpeg -i IN.mp4 OUT-%05d.png", at(4, "ftyp", "moov"), false},
	{"a video", "take frames out of it: ffmpeg -i IN.mkv OUT-%05d.png", begins("\x1a\x45\xdf\xa3"), false},
	{"a video", "take frames out of it: ffmpeg -i IN.avi OUT-%05d.png", riff("AVI "), false},
	{"a JPEG XL picture, a kind that is not read", convert + ": djxl IN.jxl OUT.png",
		begins("\xff\x0a", "\x00\x00\x00\x0cJXL \r\n\x87\n"), false},
	{"a JPEG 2000 picture, a kind that is not read", convert + ": opj_decompress -i IN.jp2 -o OUT.png",
		begins("\x00\x00\x00\x0cjP  \r\n\x87\n", "\xff\x4f\xff\x51"), false},
	{"a JPEG XR picture, a kind that is not read", convert, begins("II\xbc\x01"), false},
	{"a PDF document", "make pictures of its pages: pdftoppm -png IN.pdf OUT", begins("%PDF-"), false},
	{"a PostScript document", convert, begins("%!PS"), false},
	{"a Photoshop document, a kind that is not read", convert + ": magick 'IN.psd[0]' OUT.png", begins("8BPS"), false},
	{"a GIMP document, a kind that is not read", convert, begins("gimp xcf"), false},
	{"a Windows icon, a kind that is not read", convert + ": magick IN.ico OUT.png", isIcon, false},
	{"a Netpbm picture, a kind that is not read", convert + ": magick IN.ppm OUT.png", isNetpbm, false},
	{"an OpenEXR picture, a kind that is not read", convert, begins("v/1\x01"), false},
	{"a Radiance picture, a kind that is not read", convert, begins("#?RADIANCE", "#?RGBE"), false},
	{"a DirectDraw texture, a kind that is not read", convert, begins("DDS "), false},
	{"a DjVu document", convert, begins("AT&TFORM"), false},
	{"a BigTIFF picture, a kind that is not read", convert + ": magick IN.tif OUT.png",
		begins("II\x2b\x00", "MM\x00\x2b"), false},
	{"a raw photograph, a kind that is not read", convert,
		begins("FUJIFILMCCD-RAW", "IIRO", "IIRS", "MMOR", "IIU\x00"), false},

	{"a file of macOS's own (AppleDouble), not the picture beside it", "remove it", begins("\x00\x05\x16\x07"), false},
	{"a file of Windows' own or of Office", "remove it", begins("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), false},
	{"a ZIP archive", "unpack it", begins("PK\x03\x04", "PK\x05\x06"), false},
	{"a gzip archive", "unpack it", begins("\x1f\x8b"), false},
	{"a zstd archive", "unpack it", begins("\x28\xb5\x2f\xfd"), false},
	{"an xz archive", "unpack it", begins("\xfd7zXZ\x00"), false},
	{"a RAR archive", "unpack it", begins("Rar!\x1a\x07"), false},
	{"a 7z archive", "unpack it", begins("7z\xbc\xaf\x27\x1c"), false},
	{"a tar archive", "unpack it, or read it with data.kind: tar", at(257, "ustar"), false},
	{"a parquet file", "read it with data.kind: parquet", begins("PAR1"), false},
	{"a PCX picture, a kind that is not read", convert + ": magick IN.pcx OUT.png", isPCX, false},
	{"a Targa picture, a kind that is not read", convert + ": magick IN.tga OUT.png", isTarga, false},
	{"a NumPy array", convert, begins("\x93NUMPY"), false},
}
