package ui

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// Update is where a run stands.
type Update struct {
	Step     int     `json:"step"`
	Steps    int     `json:"steps"`
	Loss     float64 `json:"loss"`
	Accuracy float64 `json:"accuracy"`
	Rate     float64 `json:"queries_per_s"`
	Queries  int64   `json:"queries"`
	Left     float64 `json:"seconds_left"`
}

// Progress shows a run: a bar on a terminal, a line now and then elsewhere, or
// one JSON object per line.
type Progress struct {
	w     io.Writer
	json  bool
	bar   *progressbar.ProgressBar
	began time.Time
	first int       // step at which this process began
	last  time.Time // when a line was last written
	every time.Duration
}

// NewProgress starts at a step of steps. format is text or json.
func NewProgress(w io.Writer, format string, first, steps int) *Progress {
	p := &Progress{w: w, json: format == "json", began: time.Now(), first: first, every: 5 * time.Second}
	if f, ok := w.(interface{ Fd() uintptr }); ok && !p.json && term.IsTerminal(int(f.Fd())) {
		p.bar = progressbar.NewOptions(steps, progressbar.OptionSetWriter(w), progressbar.OptionSetWidth(18), progressbar.OptionShowCount(),
			progressbar.OptionSetPredictTime(false), progressbar.OptionSetElapsedTime(false), progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionSetTheme(progressbar.Theme{Saucer: "━", SaucerHead: "━", SaucerPadding: "─", BarStart: "", BarEnd: ""}))
		_ = p.bar.Set(first)
	}
	return p
}

// Step shows an update; its Left is filled in.
func (p *Progress) Step(u Update) {
	if done := u.Step - p.first; done > 0 {
		u.Left = time.Since(p.began).Seconds() / float64(done) * float64(u.Steps-u.Step)
	}
	switch {
	case p.json:
		p.object("step", u)
	case p.bar != nil:
		p.bar.Describe(fmt.Sprintf("loss %.3f acc %.2f %s q/s %s left", u.Loss, u.Accuracy, Count(int64(u.Rate)), Duration(time.Duration(u.Left*1e9))))
		_ = p.bar.Set(u.Step)
	case time.Since(p.last) >= p.every || u.Step == u.Steps || p.last.IsZero():
		p.last = time.Now()
		fmt.Fprintf(p.w, "step %d/%d  loss %.4f  accuracy %.3f  %s queries/s  %s left\n", u.Step, u.Steps, u.Loss, u.Accuracy,
			Count(int64(u.Rate)), Duration(time.Duration(u.Left*1e9)))
	}
}

// Line writes a message of a kind without disturbing the bar; fields go into
// the JSON form.
func (p *Progress) Line(kind, text string, fields any) {
	if p.json {
		if fields == nil {
			fields = map[string]string{"text": text}
		}
		p.object(kind, fields)
		return
	}
	if p.bar != nil {
		_ = p.bar.Clear()
	}
	fmt.Fprintln(p.w, text)
}

// Done ends the bar's line.
func (p *Progress) Done() {
	if p.bar != nil {
		fmt.Fprintln(p.w)
	}
}

func (p *Progress) object(kind string, v any) {
	b, err := json.Marshal(map[string]any{"event": kind, "data": v})
	if err == nil {
		fmt.Fprintf(p.w, "%s\n", b)
	}
}
