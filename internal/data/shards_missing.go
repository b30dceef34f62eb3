package data

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
)

// numberedShard is the name of a file that says how many there are of its kind,
// as Hugging Face and TensorFlow number them: train-00002-of-00005.parquet.
var numberedShard = regexp.MustCompile(`^(.*?)(\d{1,9})-of-(\d{1,9})(.*)$`)

// leaveMissing counts the shards of a split that are not there, though the names
// of the others tell of them. A single file that data.path names is meant alone.
func (t *table) leaveMissing(paths []string, dataPath string) {
	if len(paths) == 1 && paths[0] == dataPath {
		return
	}
	type series struct{ prefix, of string }
	here := map[series]map[int]bool{}
	var order []series
	names := map[series][]string{}
	for _, p := range paths {
		m := numberedShard.FindStringSubmatch(filepath.Base(p))
		if m == nil {
			continue
		}
		s := series{filepath.Join(filepath.Dir(p), m[1]), m[3]}
		if here[s] == nil {
			here[s], names[s] = map[int]bool{}, m
			order = append(order, s)
		}
		n, _ := strconv.Atoi(m[2]) // at most nine digits
		here[s][n] = true
	}
	for _, s := range order {
		total, _ := strconv.Atoi(s.of)
		first := 0
		if here[s][total] && !here[s][0] {
			first = 1 // numbered from 1
		}
		missing, gap := total, -1
		for n := range here[s] {
			if n >= first && n < first+total {
				missing--
			}
		}
		for n := first; n < first+total && gap < 0; n++ {
			if !here[s][n] {
				gap = n
			}
		}
		if missing > 0 {
			name := fmt.Sprintf("%s%0*d-of-%s", s.prefix, len(names[s][2]), gap, s.of)
			t.leave(missing, "shards", "not there, though the names of the others tell of them", name,
				"fetch the rest of the dataset")
		}
	}
}
