//go:build !amd64

package kernel

import "testing"

// eachLevel runs f on the only path of this processor.
func eachLevel(t *testing.T, f func(t *testing.T)) { t.Run("portable", f) }
