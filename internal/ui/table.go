package ui

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Width is the number of columns that output fits.
const Width = 80

// Table is rows of cells under a head. The first column is aligned left, the
// others right; where the rows are too wide, the first column is cut.
type Table struct {
	Head []string
	Rows [][]string
}

// Add appends a row; each cell is printed with %v.
func (t *Table) Add(cells ...any) {
	row := make([]string, len(cells))
	for i, c := range cells {
		row[i] = fmt.Sprint(c)
	}
	t.Rows = append(t.Rows, row)
}

// Print writes the table.
func (t *Table) Print(w io.Writer) error {
	width := make([]int, len(t.Head))
	all := append([][]string{t.Head}, t.Rows...)
	for _, r := range all {
		for i, c := range r {
			width[i] = max(width[i], utf8.RuneCountInString(c))
		}
	}
	total := 2 * (len(width) - 1)
	for _, n := range width {
		total += n
	}
	if total > Width {
		width[0] = max(8, width[0]-(total-Width))
	}
	var b strings.Builder
	for _, r := range all {
		line := ""
		for i, c := range r {
			if i == 0 {
				line = cut(c, width[0])
				line += strings.Repeat(" ", width[0]-utf8.RuneCountInString(line))
				continue
			}
			line += strings.Repeat(" ", 2+width[i]-utf8.RuneCountInString(c)) + c
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// cut shortens a text to n runes from the left, where paths differ least.
func cut(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return "…" + string(r[len(r)-n+1:])
}
