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

// Duration writes a time to two units: 0.35s, 12s, 3m05s, 2h10m.
func Duration(d time.Duration) string {
	switch {
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
