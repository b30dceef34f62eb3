package ui

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
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
	w      io.Writer
	json   bool
	bar    *progressbar.ProgressBar
	began  time.Time
	first  int       // step at which this process began
	second time.Time // when the second step began
	last   time.Time // when a line was last written
	every  time.Duration
}

// NewProgress starts before the step after first, of steps. format is text or
// json.
func NewProgress(w io.Writer, format string, first, steps int) *Progress {
	p := &Progress{w: w, json: format == "json", began: time.Now(), first: first, every: 5 * time.Second}
	if f, ok := w.(interface{ Fd() uintptr }); ok && !p.json && term.IsTerminal(int(f.Fd())) {
		p.bar = progressbar.NewOptions(steps, progressbar.OptionSetWriter(w),
			progressbar.OptionSetWidth(barWidth(p.columns(), steps)), progressbar.OptionShowCount(),
			progressbar.OptionSetPredictTime(false), progressbar.OptionSetElapsedTime(false),
			progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionSetTheme(progressbar.Theme{Saucer: "━", SaucerHead: "━", SaucerPadding: "─", BarStart: "",
				BarEnd: ""}))
		_ = p.bar.Set(first)
	}
	return p
}

// tellFirst is how long the first step of a process has to take for the time
// left to be told by it: a shorter one is mostly what is made once.
const tellFirst = 2 * time.Second

// Step shows an update; its Left is filled in.
func (p *Progress) Step(u Update) {
	now := time.Now()
	u.Left = p.left(u, now)
	left := leftOf(u)
	if u.Step-p.first <= 1 && now.Sub(p.began) < tellFirst {
		left = ""
	}
	switch {
	case p.json:
		p.object("step", u)
	case p.bar != nil:
		p.bar.Describe(describe(u, left, p.columns()))
		_ = p.bar.Set(u.Step)
	case time.Since(p.last) >= p.every || u.Step == u.Steps || p.last.IsZero():
		p.last = time.Now()
		text := fmt.Sprintf("step %d/%d  loss %.4f  accuracy %.3f  %s queries/s",
			u.Step, u.Steps, u.Loss, u.Accuracy, Count(int64(u.Rate)))
		if left != "" {
			text += "  " + left
		}
		fmt.Fprintln(p.w, text)
	}
}

// left is the time to the end by the steps so far. The first one of a process
// also pays for what is made once, so it counts only while there is no other.
func (p *Progress) left(u Update, now time.Time) float64 {
	done, since := u.Step-p.first, p.began
	if done <= 0 {
		return 0
	}
	if done == 1 {
		p.second = now
	} else if !p.second.IsZero() {
		done, since = done-1, p.second
	}
	return now.Sub(since).Seconds() / float64(done) * float64(u.Steps-u.Step)
}

// leftOf is the time left in words; nothing at the end.
func leftOf(u Update) string {
	switch {
	case u.Step >= u.Steps:
		return ""
	case u.Left < 1:
		return "<1s left"
	}
	return Duration(time.Duration(u.Left*1e9)) + " left"
}

// columns is the width of the terminal, Width where it does not say.
func (p *Progress) columns() int {
	if f, ok := p.w.(interface{ Fd() uintptr }); ok {
		if n, _, err := term.GetSize(int(f.Fd())); err == nil && n > 0 {
			return n
		}
	}
	return Width
}

// around is what the bar's line has around it: the percentage and the count.
func around(steps int) int { return len(fmt.Sprintf(" 100%%  (%d/%d) ", steps, steps)) }

// barWidth is the length of the bar on a terminal of so many columns: a quarter,
// at most 18, and what fits.
func barWidth(columns, steps int) int {
	return max(1, min(18, columns/4, columns-around(steps)))
}

// describe is what stands before the bar: as many of the numbers as a line of so
// many columns has room for, the loss first.
func describe(u Update, left string, columns int) string {
	room := columns - around(u.Steps) - barWidth(columns, u.Steps)
	parts := []string{fmt.Sprintf("loss %.3f", u.Loss),
		fmt.Sprintf("acc %.2f", u.Accuracy), Count(int64(u.Rate)) + " q/s", left}
	for _, drop := range []int{2, 1, 1, 0} { // the rate, the accuracy, the time
		if text := strings.TrimSuffix(strings.Join(parts, " "), " "); len(text) <= room {
			return text
		}
		parts = slices.Delete(parts, drop, drop+1)
	}
	return ""
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
