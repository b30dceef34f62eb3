package main

import (
	"testing"

	"github.com/flops-vit/flops/internal/uierr"
)

func TestFits(t *testing.T) {
	for _, c := range []struct {
		memory, limit int64
		ok            bool
	}{{1 << 30, 0, true}, {1 << 20, 1 << 20, true}, {1<<20 + 1, 1 << 20, false}} {
		err := fits(c.memory, c.limit, "the control group")
		if (err == nil) != c.ok || err != nil && !uierr.IsMistake(err) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
