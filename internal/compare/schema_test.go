package compare

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/flops-vit/flops/internal/testkit"
)

// TestSchemaAgrees: the schema and the program take and refuse the same arms,
// and both take the shipped ones.
func TestSchemaAgrees(t *testing.T) {
	raw, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	have, err := os.ReadFile("../../configs/arms.schema.json")
	if err != nil || !bytes.Equal(have, raw) {
		t.Errorf("configs/arms.schema.json is stale: flops config schema --arms > configs/arms.schema.json (%v)", err)
	}
	s := testkit.Schema(t, raw)
	for text, want := range map[string]bool{
		"arms: [{name: a}]": true, "arms: [{name: a, set: [train.steps=3], match: flops}]": true,
		"arms: [{name: a, set: , match: }]": true,
		"arms: [{name: 5}]":                 true, "arms: [{name: -5}]": false, "arms: [{name: true}]": true,
		"arms: [&a {name: a}, {<<: *a, name: b}]": true,
		"arms: []": false, "arms: ": false, "arms: 3": false, "{}": false, "arm: [{name: a}]": false,
		"arms: [{nam: a}]": false, "arms: [a]": false,
		"arms: [{name: }]": false, "arms: [{name: ../a}]": false, "arms: [{set: [train.steps=3]}]": false,
		"arms: [{name: a, match: seeds}]":       false,
		"arms: [{name: a, set: train.steps=3}]": false, "arms: [{name: a, set: [train.stepz=3]}]": false,
		"arms: [{name: a, set: [train.steps]}]": false,
		"arms: [{name: a, set: [train=3]}]":     false, "arms: [{name: a, set: [[x]]}]": false,
		"arms: [{name: [a]}]": false, "arms: [{name: a, set: [~]}]": false,
	} {
		if _, err := parse("arms.yaml", []byte(text)); (err == nil) != want {
			t.Errorf("%q: the program says %v", text, err)
		}
		if err := testkit.Takes(s, text); (err == nil) != want {
			t.Errorf("%q: the schema says %v", text, err)
		}
	}
	files, err := filepath.Glob("../../configs/arms/*.yaml")
	if err != nil || len(files) < 2 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if err := testkit.Takes(s, string(text)); err != nil {
			t.Errorf("%s: %v", f, err)
		}
	}
}
