package main

import (
	"math"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// results is docs/results.md by its headings of the second level.
func results(t *testing.T) (sections []string) {
	t.Helper()
	return strings.Split(strings.ReplaceAll(read(t, "docs/results.md"), "−", "-"), "\n## ")
}

var (
	told    = regexp.MustCompile(`\b0\.\d{3,4}\b|\b\d{1,3}(?:,\d{3})+\b`)
	several = regexp.MustCompile(`((?:0\.\d{3,4}(?:,\s+|\s+and\s+))+0\.\d{3,4}); mean\s+(0\.\d{3})`)
	decimal = regexp.MustCompile(`\d\.\d{3,4}`)
)

// TestDocumentedNumbers: what README.md and the heads of experiments say was measured is
// what docs/results.md says, of an experiment in a section that names it. Seeds that are
// listed there may be missing here, where their mean is not.
func TestDocumentedNumbers(t *testing.T) {
	t.Chdir("../..")
	sections := results(t)
	held(t, "README.md", read(t, "README.md"), sections)
	files, err := filepath.Glob("configs/*.yaml")
	if err != nil || len(files) < 10 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		var named []string
		for _, s := range sections {
			if strings.Contains(s, f) {
				named = append(named, s)
			}
		}
		if said := head(read(t, f)); !strings.Contains(said, "Not measured:") {
			held(t, f, said, named)
		}
	}
}

// held wants every number of a text to stand in one of the sections.
func held(t *testing.T, file, text string, sections []string) {
	t.Helper()
	all := strings.Join(sections, "\n")
	for _, m := range several.FindAllStringSubmatch(text, -1) {
		if got := mean(decimal.FindAllString(m[1], -1)); math.Abs(got-figure(m[2])) > 0.0011 {
			t.Errorf("%s: the mean of %s is %.4f and not %s", file, m[1], got, m[2])
		}
		text = strings.Replace(text, m[1], "", 1)
	}
	for _, n := range told.FindAllString(text, -1) {
		short := n
		if !strings.Contains(n, ",") {
			short = strconv.FormatFloat(figure(n), 'f', 3, 64)
		}
		if !strings.Contains(all, short) {
			t.Errorf("%s says %s, and no section of docs/results.md that names it does", file, n)
		}
	}
}

// TestDocumentedTables: every section of docs/results.md with a table has a command, and the tables
// agree with themselves: a mean is that of the seeds beside it, and a difference that of
// the rows that it parts, as far as they are over the same seeds.
func TestDocumentedTables(t *testing.T) {
	t.Chdir("../..")
	command := regexp.MustCompile("(?m)^    (flops|python3|scripts/)|`flops [a-z-]+ --")
	tables := 0
	for _, s := range results(t)[1:] {
		title, _, _ := strings.Cut(s, "\n")
		var rows [][]string
		for _, l := range strings.Split(s+"\n", "\n") {
			if strings.HasPrefix(l, "|") {
				rows = append(rows, cells(l))
			} else if len(rows) > 0 {
				tables++
				agrees(t, title, rows)
				rows = nil
			}
		}
		if strings.Contains(s, "\n|") && !command.MatchString(s) {
			t.Errorf("%s: a table and no command", title)
		}
	}
	if tables < 20 {
		t.Errorf("%d tables were found; the page has more", tables)
	}
}

// agrees checks a table: its head, the line below it, and rows.
func agrees(t *testing.T, title string, rows [][]string) {
	t.Helper()
	for i := 1; i < len(rows[0]); i++ {
		base, known := "", false
		for _, r := range rows[2:] {
			if i >= len(r) {
				t.Errorf("%s: %q has fewer cells than its table", title, r[0])
				continue
			}
			before, here := decimal.FindAllString(r[i-1], -1), decimal.FindString(r[i])
			switch name := rows[0][i]; {
			case (name == "mean" || name == "mean (loss)") && len(before) > 1 && here != "":
				if got := mean(before); math.Abs(got-figure(here)) > 0.0011 {
					t.Errorf("%s, %s: the mean of %s is %.4f and not %s", title, r[0], r[i-1], got, here)
				}
			case strings.HasPrefix(name, "against"):
				if r[i] == "" && !known && len(before) > 0 {
					base, known = before[0], true
				} else if known && len(before) > 0 && !strings.Contains(r[0], "seeds") {
					said := figure(strings.TrimPrefix(strings.Fields(r[i])[0], "+"))
					if got := figure(before[0]) - figure(base); math.Abs(got-said) > 0.0011 {
						t.Errorf("%s, %s: %s less %s is %.3f and not %s", title, r[0], before[0], base, got, r[i])
					}
				}
			}
		}
	}
}

// cells parts a row of a table.
func cells(line string) (out []string) {
	for _, c := range strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|") {
		out = append(out, strings.TrimSpace(c))
	}
	return out
}

func mean(numbers []string) float64 {
	sum := 0.0
	for _, n := range numbers {
		sum += figure(n)
	}
	return sum / float64(len(numbers))
}

func figure(s string) float64 {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return math.NaN()
	}
	return v
}
