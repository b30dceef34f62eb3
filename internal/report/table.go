package report

import (
	"encoding/csv"
	"fmt"
	"io"
)

// Table is a table of a page, or a CSV file.
type Table struct {
	Head    []string
	Rows    [][]string
	Text    int    // the leading columns hold text; the others numbers, which align to the right
	Caption string // below the table
	Strong  int    // number of a row to stress, counted from 1; 0: none
}

// Add appends a row.
func (t *Table) Add(cells ...string) { t.Rows = append(t.Rows, cells) }

func (t Table) template() string { return "table" }

// CSV writes head and rows as RFC 4180 says. It fails where a row is not as long
// as the head.
func CSV(w io.Writer, head []string, rows [][]string) error {
	c := csv.NewWriter(w)
	if err := c.Write(head); err != nil {
		return fmt.Errorf("report: csv: %w", err)
	}
	for i, r := range rows {
		if len(r) != len(head) {
			return fmt.Errorf("report: csv: row %d has %d cells, the head %d", i+1, len(r), len(head))
		}
		if err := c.Write(r); err != nil {
			return fmt.Errorf("report: csv: %w", err)
		}
	}
	c.Flush()
	return c.Error()
}

// IsStrong reports whether the row with this index is stressed.
func (t Table) IsStrong(row int) bool { return row+1 == t.Strong }
