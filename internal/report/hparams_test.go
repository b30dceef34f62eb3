package report

import (
	"bytes"
	"testing"
	"time"
)

// The message is that of TensorBoard's hparams plugin, field by field of its
// definition.
func TestHParams(t *testing.T) {
	var buf bytes.Buffer
	e, err := NewEvents(&buf, func() time.Time { return time.Unix(1700000000, 5e8) })
	if err != nil {
		t.Fatal(err)
	}
	want := []HParam{{"optimizer.lr", 0.25}, {"allocator.learn", true}, {"allocator.fallback", false},
		{"data.kind", "shapes"}, {"odd", []int{1, 2}}}
	if err := e.HParams(want); err != nil {
		t.Fatal(err)
	}
	v := fields(t, fields(t, fields(t, records(t, buf.Bytes())[1])[5][0].([]byte))[1][0].([]byte))
	if string(v[1][0].([]byte)) != "_hparams_/session_start_info" || len(v[8]) != 1 {
		t.Errorf("value %v", v)
	}
	plugin := fields(t, fields(t, v[9][0].([]byte))[1][0].([]byte))
	if string(plugin[1][0].([]byte)) != "hparams" {
		t.Errorf("plugin %v", plugin)
	}
	start := fields(t, fields(t, plugin[2][0].([]byte))[3][0].([]byte))
	if start[5][0].(float64) != 1700000000.5 || len(start[1]) != len(want) {
		t.Fatalf("start %v", start)
	}
	for i, w := range want {
		entry := fields(t, start[1][i].([]byte))
		got := fields(t, entry[2][0].([]byte))
		ok := string(entry[1][0].([]byte)) == w.Name && len(got) == 1
		switch x := w.Value.(type) {
		case float64:
			ok = ok && got[2][0].(float64) == x
		case bool:
			ok = ok && (got[4][0].(uint64) == 1) == x
		case string:
			ok = ok && string(got[3][0].([]byte)) == x
		default:
			ok = ok && string(got[3][0].([]byte)) == "[1 2]"
		}
		if !ok {
			t.Errorf("%s: %v, want %v", entry[1], got, w)
		}
	}
}
