//go:build race

package testkit

// raced says whether the race detector watches.
const raced = true
