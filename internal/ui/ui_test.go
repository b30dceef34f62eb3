package ui

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/flops-vit/flops/internal/uierr"
)

func TestFail(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		want   string
	}{
		{uierr.New("a.yaml:3: no key x", "did you mean y?"), 2,
			"flops: error: a.yaml:3: no key x\nflops: hint: did you mean y?\n"},
		{fmt.Errorf("step 4: %w", uierr.New("what\nis wrong", "")), 2, "flops: error: step 4: what; is wrong\n"},
		{errors.New("disk"), 1, "flops: error: disk\n"},
		{uierr.Failed(nil, "step 9: the loss is NaN", "lower it"), 1,
			"flops: error: step 9: the loss is NaN\nflops: hint: lower it\n"},
		{uierr.Wrap(uierr.Failed(nil, "gone", "wait"), "model: gone", "wait"), 1,
			"flops: error: model: gone\nflops: hint: wait\n"},
		{uierr.Wrap(&os.PathError{Op: "write", Path: "a", Err: syscall.ENOSPC}, "--output a: full", "make room"), 1,
			"flops: error: --output a: full\nflops: hint: make room\n"},
		{uierr.Wrap(errors.Join(errors.New("a"), syscall.EIO), "a: input/output error", ""), 1,
			"flops: error: a: input/output error\n"},
		{uierr.Wrap(&os.PathError{Op: "open", Path: "a", Err: syscall.EACCES}, "a: permission denied", ""), 2,
			"flops: error: a: permission denied\n"},
		{ErrInterrupted, 130, ""},
	} {
		var b bytes.Buffer
		if s := Fail(&b, c.err); s != c.status || b.String() != c.want {
			t.Errorf("%v: status %d, %q", c.err, s, b.String())
		}
	}
}

func TestTableFits(t *testing.T) {
	tb := Table{Head: []string{"image", "loss", "queries"}}
	tb.Add(strings.Repeat("long/", 30)+"name.jpg", 1.25, 12)
	tb.Add("ä.jpg", 10, 2)
	var b bytes.Buffer
	if err := tb.Print(&b); err != nil {
		t.Fatal(err)
	}
	for _, l := range strings.Split(b.String(), "\n") {
		if utf8.RuneCountInString(l) > Width {
			t.Errorf("%d columns: %s", utf8.RuneCountInString(l), l)
		}
	}
	if !strings.Contains(b.String(), "name.jpg") || !strings.Contains(b.String(), "10        2") {
		t.Errorf("%s", b.String())
	}
}

func TestFormats(t *testing.T) {
	for got, want := range map[string]string{
		Count(950): "950", Count(12345): "12.3k", Count(4_560_000): "4.56M", Count(-20_000): "-20.0k",
		Bytes(100): "100 B", Bytes(3 << 20): "3.0 MiB", Bytes(5 << 30): "5.00 GiB",
		Duration(420 * time.Microsecond): "0.4ms", Duration(350 * time.Millisecond): "0.35s",
		Duration(185 * time.Second): "3m05s", Duration(130 * time.Minute): "2h10m",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestProgressElsewhere(t *testing.T) {
	var b bytes.Buffer
	p := NewProgress(&b, "text", 0, 2)
	p.Step(Update{Step: 1, Steps: 2, Loss: 1.5})
	p.Line("eval", "test accuracy 0.5", nil)
	p.Step(Update{Step: 2, Steps: 2, Loss: 1})
	if s := b.String(); strings.Count(s, "\n") != 3 || strings.ContainsAny(s, "\r\x1b") ||
		!strings.Contains(s, "step 2/2") {
		t.Errorf("%q", s)
	}
	b.Reset()
	p = NewProgress(&b, "json", 0, 2)
	p.Step(Update{Step: 1, Steps: 2, Loss: 1.5})
	if s := b.String(); !strings.HasPrefix(s, `{"data":{"step":1,"steps":2,"loss":1.5`) {
		t.Errorf("%q", s)
	}
}

// A first step that is short says nothing of the time left, a long one does;
// later ones are told by the steps after the first.
func TestProgressLeft(t *testing.T) {
	for _, c := range []struct {
		first, began time.Duration // before now: what is made once, and the run
		step         int
		want         string
	}{
		{0, time.Second, 1, ""},
		{0, 4 * time.Second, 1, "36s left"},
		{1800 * time.Millisecond, 90 * time.Second, 5, "2s left"},
		{200 * time.Millisecond, 90 * time.Second, 5, "<1s left"},
		{2 * time.Second, 90 * time.Second, 10, ""},
	} {
		var b bytes.Buffer
		p := NewProgress(&b, "text", 0, 10)
		p.began = time.Now().Add(-c.began)
		if c.first > 0 {
			p.second = time.Now().Add(-c.first)
		}
		p.Step(Update{Step: c.step, Steps: 10})
		line := strings.TrimSuffix(b.String(), "\n")
		if !strings.HasSuffix(line, " queries/s"+strings.TrimSuffix("  "+c.want, "  ")) {
			t.Errorf("step %d: %q, want %q", c.step, line, c.want)
		}
	}
}

// The line with its bar fits the terminal: with fewer columns it says less, the
// loss to the last.
func TestDescribe(t *testing.T) {
	u := Update{Step: 7, Steps: 3000, Loss: 1.234, Accuracy: 0.5, Rate: 12345}
	for columns, want := range map[int]string{
		100: "loss 1.234 acc 0.50 12.3k q/s 3m05s left", 80: "loss 1.234 acc 0.50 12.3k q/s 3m05s left",
		70: "loss 1.234 acc 0.50 3m05s left", 60: "loss 1.234 3m05s left", 40: "loss 1.234", 30: "", 20: "", 5: "",
	} {
		if line := len(want) + barWidth(columns, u.Steps) + around(u.Steps); line > columns && columns > 20 {
			t.Errorf("%d columns: a line of %d", columns, line)
		}
		if got := describe(u, "3m05s left", columns); got != want {
			t.Errorf("%d columns: %q, want %q", columns, got, want)
		}
	}
}

func TestForecast(t *testing.T) {
	for d, want := range map[time.Duration]string{
		4 * time.Second: "less than 10s", 20 * time.Second: "less than a minute", 49 * time.Second: "about 49s",
		time.Hour: "about 1h00m",
	} {
		if got := Forecast(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}
