package cuda

import (
	"strings"
	"testing"

	"github.com/flops-vit/flops/internal/uierr"
)

func TestOrdinal(t *testing.T) {
	for spec, want := range map[string]int{"cuda": 0, "auto": 0, "cuda:0": 0, "cuda:12": 12, "": 0} {
		if n, err := ordinal(spec); err != nil || n != want {
			t.Errorf("ordinal(%q) is %d, %v", spec, n, err)
		}
	}
	for _, spec := range []string{"cuda:", "cuda:-1", "cuda:+1", "cuda:x", "gpu", "cpu", "cuda1"} {
		if _, err := ordinal(spec); err == nil {
			t.Errorf("ordinal(%q) was accepted", spec)
		}
	}
}

// TestNoDevice is what a user sees on a machine without a GPU, in both builds.
func TestNoDevice(t *testing.T) {
	ok, why := Available()
	if ok {
		t.Skip("there is a device here")
	}
	if why == "" {
		t.Error("no reason given")
	}
	_, err := Open("cuda", nil, Options{})
	u, is := uierr.As(err)
	if !is || !strings.Contains(u.What, why) || u.Hint == "" {
		t.Errorf("Open gives %v", err)
	}
	if _, err := OpenDriver("cuda:x"); err == nil || !strings.Contains(err.Error(), "cuda:x") {
		t.Errorf("a device of no number gives %v", err)
	}
}
