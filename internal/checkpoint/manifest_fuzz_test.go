package checkpoint

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzManifest: an accepted manifest is the one that its entries are written as, and names
// files of its own folder alone. Since a sum guards it, the fuzzer writes what the sum is of.
func FuzzManifest(f *testing.F) {
	for _, s := range []string{manifestTitle + "\n", "flops checkpoint 2\n", manifestTitle + "\nab 1 x\n",
		manifestTitle + "\n" + strings.Repeat("0", 64) + " 12 model.safetensors\n",
		manifestTitle + "\n" + strings.Repeat("0", 64) + " -1 a\n",
		manifestTitle + "\n" + strings.Repeat("0", 64) + " 1 ../a\n",
		manifestTitle + "\n\n", ""} {
		f.Add([]byte(s))
	}
	summed := func(body []byte) []byte {
		return fmt.Appendf(bytes.Clone(body), "%x %s\n", sha256.Sum256(body), manifestName)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if _, err := parseManifest(body); err == nil {
			t.Fatalf("%q has no sum and was taken", body)
		}
		entries, err := parseManifest(summed(body))
		if err != nil {
			return
		}
		for _, e := range entries {
			if e.size < 0 || filepath.Base(e.name) != e.name || e.name == ".." {
				t.Fatalf("%q of %d bytes", e.name, e.size)
			}
		}
		again, err := parseManifest(encodeManifest(entries))
		if err != nil || !bytes.Equal(encodeManifest(again), encodeManifest(entries)) {
			t.Fatalf("%q became %q: %v", body, encodeManifest(entries), err)
		}
	})
}
