//go:build !amd64

package noise

import "testing"

// eachLevel runs f on the only path of this processor.
func eachLevel(t *testing.T, f func(t *testing.T)) { t.Run("portable", f) }
