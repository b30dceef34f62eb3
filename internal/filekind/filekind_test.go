package filekind

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flops-vit/flops/internal/uierr"
)

func ftyp(major string, compatible ...string) string {
	body := "ftyp" + major + "\x00\x00\x00\x00" + strings.Join(compatible, "")
	return "\x00\x00\x00" + string(rune(len(body)+4)) + body + "\x00\x00\x00\x08mdat"
}

// heads are the first bytes of files, and what they are told to be.
var heads = map[string]string{
	"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 22\n": "Git LFS pointer",
	"<!DOCTYPE html>\n<html>":                                                            "web page",
	"\xef\xbb\xbf\r\n <!-- built -->\n<HTML lang=en>":                                    "web page",
	"<?xml version=\"1.0\"?>\n<!DOCTYPE html PUBLIC \"\">\n<html xmlns=\"\"><svg></svg>": "web page",
	"<svg xmlns=\"http://www.w3.org/2000/svg\"/>":                                        "SVG",
	"<?xml version=\"1.0\"?>\n<!-- Inkscape -->\n<svg>":                                  "SVG",
	"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>":                    "XML",
	"{\"error\": \"not found\"}":                                                         "JSON",
	"[\n  1, 2]":                                                                         "JSON",
	ftyp("heic", "mif1", "heic"):                                                         "HEIC",
	ftyp("mif1", "mif1", "heic", "miaf"):                                                 "HEIC",
	ftyp("avif", "avif", "mif1"):                                                         "AVIF",
	ftyp("mif1", "miaf", "avif"):                                                         "AVIF",
	ftyp("isom", "mp41"):                                                                 "video",
	ftyp("crx ", "isom"):                                                                 "CR3",
	"RIFF\x00\x00\x00\x00AVI LIST":                                                       "video",
	"\x1a\x45\xdf\xa3\x93":                                                               "video",
	"\xff\x0a\xfa":                                                                       "JPEG XL",
	"\x00\x00\x00\x0cJXL \r\n\x87\n":                                                     "JPEG XL",
	"\x00\x00\x00\x0cjP  \r\n\x87\n":                                                     "JPEG 2000",
	"\xff\x4f\xff\x51\x00":                                                               "JPEG 2000",
	"II\xbc\x01\x08":                                                                     "JPEG XR",
	"%PDF-1.7\n":                                                                         "PDF",
	"%!PS-Adobe-3.0":                                                                     "PostScript",
	"8BPS\x00\x01":                                                                       "Photoshop",
	"gimp xcf file":                                                                      "GIMP",
	"\x00\x00\x01\x00\x01\x00":                                                           "icon",
	"\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x0e\x00\x0c\x00\x18\x20": "Targa",
	"\x0a\x05\x01\x08\x00\x00":                 "PCX",
	"P6\n# made by hand\n3 2\n255\n":           "Netpbm",
	"II\x2b\x00\x08\x00\x00\x00":               "BigTIFF",
	"FUJIFILMCCD-RAW 0201":                     "raw photograph",
	"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X": "AppleDouble",
	"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1":         "Windows",
	"PK\x03\x04\x14":                           "ZIP",
	"\x1f\x8b\x08":                             "gzip",
	"PK\x03\x04\x14" + strings.Repeat("\x00", 21) + "\x10\x00\x00\x00archive/data.pkl": "torch.save",
	"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.":                        "torch.save",
	"\x89HDF\r\n\x1a\n\x00": "HDF5",
	"PAR1\x15\x04":          "parquet",
	"cat.jpg" + strings.Repeat("\x00", 250) + "ustar\x0000": "tar archive",
	"\x93NUMPY\x01\x00": "NumPy",
}

func TestFilesAreNamed(t *testing.T) {
	for head, want := range heads {
		err := Of([]byte(head))
		u, ok := uierr.As(err)
		if !ok || !strings.Contains(u.What, want) || u.Hint == "" {
			t.Errorf("%q: %v, want %s and a hint", head[:min(len(head), 40)], err, want)
		}
		never := want == "Git LFS pointer" || want == "web page" || strings.HasPrefix(head, "<?xml") ||
			want == "torch.save" || want == "HDF5"
		if got := Misplaced([]byte(head)) != nil; got != never {
			t.Errorf("%q: misplaced %v", head[:min(len(head), 40)], got)
		}
	}
	for _, head := range []string{"", "B", "words", "{curly} \x00\x01", "\xff\xd8\xff\xe0", "\x89PNG\r\n\x1a\n",
		"RIFF\x00\x00\x00\x00WEBP", "P6", "P6 of the plan",
		"II\x2a\x00", "version 2"} {
		if err := Of([]byte(head)); err != nil {
			t.Errorf("%q: %v", head, err)
		}
	}
}

func TestEveryKindHasATest(t *testing.T) {
	tried := map[string]bool{}
	for head := range heads {
		for _, k := range kinds {
			if k.match([]byte(head)) {
				tried[k.name] = true
			}
		}
	}
	rare := []string{"OpenEXR", "Radiance", "DirectDraw", "DjVu", "zstd", "xz", "RAR", "7z"} // nothing but a first word
	for _, k := range kinds {
		named := false
		for _, r := range rare {
			named = named || strings.Contains(k.name, r)
		}
		if !tried[k.name] && !named {
			t.Errorf("%s: no example", k.name)
		}
	}
}

func TestMisplacedNamesThePath(t *testing.T) {
	path := filepath.Join(t.TempDir(), "w")
	if err := os.WriteFile(path, []byte("version https://git-lfs.github.com/spec/v1\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	u, ok := uierr.As(At(path, MisplacedIn(f)))
	if !ok || !strings.HasPrefix(u.What, path+": this is a Git LFS pointer") || !strings.Contains(u.Hint, "git lfs pull") {
		t.Errorf("%+v", u)
	}
	if err := MisplacedIn(bytes.NewReader(nil)); err != nil {
		t.Error(err)
	}
}

func FuzzKind(f *testing.F) {
	for head := range heads {
		f.Add([]byte(head))
	}
	f.Fuzz(func(t *testing.T, head []byte) {
		if Misplaced(head) != nil && Of(head) == nil {
			t.Error("misplaced, and of no kind")
		}
	})
}
