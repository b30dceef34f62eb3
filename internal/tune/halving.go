package tune

// rung is one round of a search: the tries that are left, and how long each of them
// is by its end, in units.
type rung struct{ tries, length int }

// rungs halves n tries down to two, doubling their length.
func rungs(n int) (out []rung) {
	for length := 1; n > 1; n, length = (n+1)/2, 2*length {
		out = append(out, rung{n, length})
		if n == 2 {
			break
		}
	}
	return out
}

// units is what the rungs of n tries take, when each try goes on where it was.
func units(n int) (sum int) {
	before := 0
	for _, r := range rungs(n) {
		sum, before = sum+r.tries*(r.length-before), r.length
	}
	return sum
}

// longest is how many units the longest tries of a search take.
func (s *Search) longest() (n int) {
	for _, a := range s.Axes {
		for _, r := range rungs(len(a.Values)) {
			n = max(n, r.length)
		}
	}
	return n
}

// allUnits is the most that a search over axes takes: on every axis but the first,
// one of the tries has its first unit already.
func allUnits(axes []Axis) int {
	sum := 0
	for _, a := range axes {
		if n := units(len(a.Values)); n > 0 && sum > 0 {
			sum += n - 1
		} else {
			sum += n
		}
	}
	return sum
}
