package data

import (
	"path"
	"slices"
	"strings"
)

// unreadNames are extensions of pictures of kinds that are not read.
var unreadNames = []string{".ppm", ".pgm", ".pbm", ".pnm", ".heic", ".heif", ".avif", ".jp2", ".j2k", ".jxl", ".svg",
	".tga", ".psd", ".ico", ".exr", ".dng", ".cr2", ".nef", ".pcx"}

// extension is the end of a name, in small letters: ".jpg".
func extension(name string) string { return strings.ToLower(path.Ext(name)) }

func isUnread(name string) bool { return slices.Contains(unreadNames, extension(name)) }

const (
	unreadReason = "pictures of this kind are not read"
	convertHint  = "convert them to PNG or JPEG"
)
