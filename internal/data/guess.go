package data

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/uierr"
)

// Guess names the kind of dataset at a path.
func Guess(path string) (string, error) {
	if _, err := os.Stat(path); err != nil {
		return "", uierr.Wrap(err, fmt.Sprintf("%s: %s", path, reason(err)), "give the folder or file that holds the data")
	}
	if other := otherKind(path, ""); other != "" {
		return other, nil
	}
	folder := sniffFolder(path)
	cfg := config.Default().Data
	cfg.Path = path
	if err := foreign(path); err != nil && !(folder && classFolders(cfg)) {
		return "", err
	}
	if folder {
		return "folder", nil
	}
	if _, err := os.ReadDir(path); errors.Is(err, os.ErrPermission) {
		return "", unopened(path, err)
	}
	return "", uierr.New(path+": no data of any known kind",
		"known are train/CLASS/*.jpg, CIFAR binary, IDX, *.parquet, *.tar and *.tar.gz (README, Data)")
}

// otherKind is the kind that a path looks like other than the given one, "" for
// none; anything may look like class folders, so these do not count.
func otherKind(path, kind string) string {
	for _, k := range kinds {
		if k.sniff != nil && k.name != kind && k.name != "folder" && k.sniff(path) {
			return k.name
		}
	}
	return ""
}

// foreigner is a layout that is not read but known.
type foreigner struct {
	what  string
	files []string // patterns below the folder, one of which is there
	hint  string   // %s is the folder
}

var foreigners = []foreigner{
	{"an Arrow folder of Hugging Face's datasets (save_to_disk)", []string{"dataset_dict.json", "*.arrow", "*/*.arrow"},
		"write each split as parquet: load_from_disk(%q)[\"train\"].to_parquet(\"data/train-00000.parquet\")"},
	{"a dataset of TFRecord files", []string{"*.tfrecord", "*.tfrecord-*", "*/*.tfrecord", "*/*.tfrecord-*"},
		"write the images of %q as class folders, train/CLASS/*.jpg"},
	{"the Python version of CIFAR", []string{"data_batch_1", "*/data_batch_1"},
		"fetch the binary version instead of %q (scripts/fetch-cifar.sh)"},
}

// foreign is the error of a folder in a layout that is known but not read; nil
// for any other.
func foreign(path string) error {
	for _, f := range foreigners {
		for _, pattern := range f.files {
			if found, _ := filepath.Glob(filepath.Join(escape(path), pattern)); len(found) > 0 && isFile(found[0]) {
				return uierr.New(fmt.Sprintf("%s: %s, which is not read", path, f.what), fmt.Sprintf(f.hint, path))
			}
		}
	}
	return nil
}
