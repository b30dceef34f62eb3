package embed

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// npyHeader is what the dict of an array says.
type npyHeader struct {
	rows, width, item int64 // item: bytes of a value
}

// npyEntry is one key with its value: a string, a bool or a tuple of integers.
// That is all that NumPy writes for arrays of plain numbers.
var npyEntry = regexp.MustCompile(`^\s*'(\w+)'\s*:\s*('[^']*'|True|False|\([0-9,\sL]*\))\s*(,|$)`)

// parseNPYHeader reads {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }.
func parseNPYHeader(s string) (h npyHeader, err error) {
	s = strings.TrimSpace(s)
	if !strings.HasPrefix(s, "{") || !strings.HasSuffix(s, "}") {
		return h, errors.New("the header is no dict")
	}
	s = strings.TrimSpace(s[1 : len(s)-1])
	seen := map[string]bool{}
	for s != "" {
		m := npyEntry.FindStringSubmatch(s)
		if m == nil {
			return h, fmt.Errorf("the header is not understood at %.40q", s)
		}
		s = strings.TrimSpace(s[len(m[0]):])
		if seen[m[1]] {
			return h, fmt.Errorf("the header has two entries %s", m[1])
		}
		seen[m[1]] = true
		switch m[1] {
		case "descr":
			h.item, err = npyItem(m[2])
		case "fortran_order":
			if m[2] != "False" {
				err = errors.New("the array is in Fortran order")
			}
		case "shape":
			h.rows, h.width, err = npyShape(m[2])
		default:
			err = fmt.Errorf("the header has an unknown entry %s", m[1])
		}
		if err != nil {
			return h, err
		}
	}
	if len(seen) != 3 {
		return h, errors.New("the header lacks descr, fortran_order or shape")
	}
	return h, nil
}

func npyItem(descr string) (int64, error) {
	switch descr {
	case "'<f2'":
		return 2, nil
	case "'<f4'":
		return 4, nil
	case "'<f8'":
		return 8, nil
	}
	return 0, fmt.Errorf("the array's dtype is %s", descr)
}

func npyShape(tuple string) (rows, width int64, err error) {
	dims := strings.Split(strings.Trim(tuple, "()"), ",")
	if len(dims) != 2 || strings.TrimSpace(dims[1]) == "" {
		return 0, 0, fmt.Errorf("the array's shape is %s", tuple)
	}
	for i, to := range []*int64{&rows, &width} {
		if *to, err = strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(dims[i]), "L"), 10, 62); err != nil {
			return 0, 0, fmt.Errorf("the array's shape is %s", tuple)
		}
	}
	return rows, width, nil
}
