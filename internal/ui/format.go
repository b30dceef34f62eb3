package ui

import (
	"fmt"
	"time"
)

// Count writes a number with a unit of thousands: 950, 12.3k, 4.56M.
func Count(n int64) string {
	switch f := float64(n); {
	case n < 0:
		return "-" + Count(-n)
	case n < 10_000:
		return fmt.Sprint(n)
	case n < 1_000_000:
		return fmt.Sprintf("%.1fk", f/1e3)
	case n < 1_000_000_000:
		return fmt.Sprintf("%.2fM", f/1e6)
	case n < 1_000_000_000_000:
		return fmt.Sprintf("%.2fG", f/1e9)
	default:
		return fmt.Sprintf("%.2fT", f/1e12)
	}
}

// Bytes writes a size in binary units.
func Bytes(n int64) string {
	switch f := float64(n); {
	case n < 1<<10:
		return fmt.Sprintf("%d B", n)
	case n < 1<<20:
		return fmt.Sprintf("%.1f KiB", f/(1<<10))
	case n < 1<<30:
		return fmt.Sprintf("%.1f MiB", f/(1<<20))
	default:
		return fmt.Sprintf("%.2f GiB", f/(1<<30))
	}
}

// Forecast writes a time that is guessed: a short one with room for twice as
// much, because half a second at the start weighs heavily in it, and a long one
// as about so much.
func Forecast(d time.Duration) string {
	switch {
	case d < 5*time.Second:
		return "less than 10s"
	case d < 30*time.Second:
		return "less than a minute"
	}
	return "about " + Duration(d)
}

// Duration writes a time to two units: 0.4ms, 0.35s, 12s, 3m05s, 2h10m.
func Duration(d time.Duration) string {
	switch {
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1fms", d.Seconds()*1e3)
	case d < time.Second:
		return fmt.Sprintf("%.2fs", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%.0fs", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	default:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
}

// Many writes a number that need not be whole with its noun.
func Many(n float64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%g %s", n, many)
}

// Plural is a number with the word for one or for many.
func Plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
