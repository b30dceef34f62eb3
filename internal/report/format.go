package report

import (
	"math"
	"strconv"
	"strings"
)

// Missing stands for a number that there is none of.
const Missing = "–"

// Fixed writes a number with so many decimals, or Missing.
func Fixed(v float64, decimals int) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return Missing
	}
	return strconv.FormatFloat(v, 'f', decimals, 64)
}

// Percent writes a share as a percentage with one decimal, or Missing.
func Percent(v float64) string {
	if s := Fixed(100*v, 1); s != Missing {
		return s + "%"
	}
	return Missing
}

// Count writes a whole number in groups of three, parted by thin spaces.
func Count(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, s = "−", s[1:]
	}
	var b strings.Builder
	for i, r := range s {
		if i > 0 && (len(s)-i)%3 == 0 {
			b.WriteRune('\u2009')
		}
		b.WriteRune(r)
	}
	return sign + b.String()
}

// Short writes a number with three significant digits and a prefix of thousands
// (k, M, G, T, P), or Missing.
func Short(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return Missing
	}
	digits, prefix := shorten(v)
	return digits + prefix
}

// Operations writes a number of floating-point operations, such as 1.39 TFLOP,
// or Missing where there are none: nobody counts those of a model that is called.
func Operations(v float64) string {
	if !finite(v) || v == 0 {
		return Missing
	}
	digits, prefix := shorten(v)
	return digits + " " + prefix + "FLOP"
}

// shorten parts a number into three significant digits and a prefix.
func shorten(v float64) (digits, prefix string) {
	for _, p := range []string{"k", "M", "G", "T", "P"} {
		if math.Abs(v) < 999.5 {
			break
		}
		v, prefix = v/1000, p
	}
	return strconv.FormatFloat(v, 'g', 3, 64), prefix
}

// Duration writes seconds in the unit that suits them, or Missing.
func Duration(s float64) string {
	switch {
	case math.IsNaN(s) || math.IsInf(s, 0):
		return Missing
	case s == 0:
		return "0 s"
	case s < 1e-3:
		return Fixed(s*1e6, 0) + " µs"
	case s < 1:
		return Fixed(s*1e3, 1) + " ms"
	case s < 120:
		return Fixed(s, 1) + " s"
	case s < 7200:
		return Fixed(s/60, 1) + " min"
	}
	return Fixed(s/3600, 1) + " h"
}

// finite reports whether v is a number that can be drawn.
func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// ticks are the multiples of 1, 2 or 5 times a power of ten within lo..hi, about
// n of them, and the decimals that tell them apart.
func ticks(lo, hi float64, n int) (at []float64, decimals int) {
	step := niceStep((hi - lo) / float64(n))
	if step == 0 {
		return []float64{lo}, 2
	}
	for k := math.Ceil(lo/step - 1e-9); k*step <= hi+step*1e-9 && len(at) < 50; k++ {
		at = append(at, k*step)
	}
	return at, max(0, -int(math.Floor(math.Log10(step)+1e-9)))
}

// niceStep is the least of 1, 2, 5 times a power of ten that is at least v.
func niceStep(v float64) float64 {
	if !(v > 0) || math.IsInf(v, 1) {
		return 0
	}
	p := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5, 10} {
		if v <= m*p*(1+1e-9) {
			return m * p
		}
	}
	return 10 * p
}

// tickLabel writes a tick: thousands with a prefix, percents where asked.
func tickLabel(v float64, decimals int, percent bool) string {
	if v == 0 {
		v = 0 // and not −0
	}
	switch {
	case percent:
		return Fixed(100*v, max(0, decimals-2)) + "%"
	case math.Abs(v) >= 1000:
		return Short(v)
	case v == 0:
		return "0"
	case decimals > 6:
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
	return Fixed(v, decimals)
}
