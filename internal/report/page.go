package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"
)

// Page is one self-contained HTML file.
type Page struct {
	Title    string
	Lead     string // one sentence below the title
	Facts    Facts  // the headline numbers
	Sections []Section
}

// Section is a titled part of a page.
type Section struct {
	Title  string
	Note   string // a sentence that says how to read it
	Blocks []Block
}

var (
	//go:embed page.html
	pageHTML string
	//go:embed style.css
	style string

	pages = func() *template.Template {
		t := template.New("page")
		t.Funcs(template.FuncMap{
			"style": func() template.CSS { return template.CSS(style) },
			"fixed": Fixed,
			"render": func(b Block) (template.HTML, error) {
				var s strings.Builder
				err := t.ExecuteTemplate(&s, b.template(), b)
				return template.HTML(s.String()), err
			},
		})
		return template.Must(t.Parse(pageHTML))
	}()
)

// Write writes the page. Every text in it is escaped.
func (p Page) Write(w io.Writer) error {
	if err := pages.Execute(w, p); err != nil {
		return fmt.Errorf("report: page %q: %w", p.Title, err)
	}
	return nil
}
