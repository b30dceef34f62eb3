package main

import (
	"runtime/debug"
	"testing"
)

// TestVersionOf: what go install of a release, a build in a checkout and one without
// its history say.
func TestVersionOf(t *testing.T) {
	commit := debug.BuildSetting{Key: "vcs.revision", Value: "0123456789abcdef0123"}
	changed := debug.BuildSetting{Key: "vcs.modified", Value: "true"}
	for want, info := range map[string]debug.BuildInfo{
		"v0.2.0":                     {Main: debug.Module{Version: "v0.2.0"}},
		"devel-0123456789ab":         {Main: debug.Module{Version: "v0.1.1-0.2026"}, Settings: []debug.BuildSetting{commit}},
		"devel-0123456789ab+changes": {Settings: []debug.BuildSetting{commit, changed}},
		"devel":                      {Main: debug.Module{Version: "(devel)"}},
	} {
		if got := versionOf(&info); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
