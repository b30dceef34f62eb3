package config

import (
	"fmt"
	"slices"
	"strings"
)

// envPrefix begins the name of every variable that sets a key.
const envPrefix = "FLOPS_"

// Variables are the FLOPS_ variables that set no key and mean something to the
// program, its scripts or its tests. Those of tests alone begin with FLOPS_TEST_.
var Variables = []string{
	"FLOPS_SHARED", "FLOPS_CACHE", "FLOPS_KERNEL", "FLOPS_CUBLAS", "FLOPS_PYTHON", "FLOPS_PEER_URL",
	"FLOPS_BENCH", "FLOPS_BENCH_BATCH", "FLOPS_BENCH_PRECISION", "FLOPS_BENCH_WAY", "FLOPS_HOST_KERNELS",
	"FLOPS_PRETRAIN", "FLOPS_DINOV2",
}

// strays are warnings of FLOPS_ variables that set nothing and are named by
// nothing: most likely a key with a letter wrong.
func (r *Resolved) strays(environ []string) []string {
	var out []string
	for _, e := range environ {
		name, _, _ := strings.Cut(e, "=")
		rest, ours := strings.CutPrefix(name, envPrefix)
		_, key := keyOf(name)
		known := key || strings.HasPrefix(rest, "TEST_") || slices.Contains(Variables, name)
		if !ours || known || r.named[name] || name == r.Model.TokenEnv {
			continue
		}
		hint := "it is ignored"
		inSections := slices.DeleteFunc(Keys(), func(k string) bool { return !strings.Contains(k, ".") })
		if n := nearest(strings.ToLower(rest), inSections); n != "" {
			hint = fmt.Sprintf("did you mean %s?", variableOf(n))
		}
		out = append(out, fmt.Sprintf("%s sets no key; %s", name, hint))
	}
	slices.Sort(out)
	return out
}

// variableOf is the environment variable that sets a key.
func variableOf(key string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

// keyOf is the key that an environment variable sets.
func keyOf(name string) (field, bool) {
	if !strings.HasPrefix(name, envPrefix) { // all but a few of an environment
		return field{}, false
	}
	for _, f := range fields() {
		if strings.Contains(f.key, ".") && name == variableOf(f.key) {
			return f, true
		}
	}
	return field{}, false
}

// WithoutKeys is an environment less the variables that set a key: what a
// process gets whose config is resolved already.
func WithoutKeys(environ []string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(e string) bool {
		name, _, _ := strings.Cut(e, "=")
		_, ok := keyOf(name)
		return ok
	})
}
