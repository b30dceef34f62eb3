package runs

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// TestLedger: what is spent adds up by purpose and in the total, goes through JSON
// unchanged, and a total that a file states otherwise is not believed.
func TestLedger(t *testing.T) {
	l := NewLedger()
	began := time.Now().Add(-2 * time.Second)
	l.Spend(CleanPass, 3, 100, began)
	l.Spend(CleanPass, 4, 10, began)
	l.Spend(Perturbed, 50, 7000, began)
	l.Spend(Evaluation, 1, 5, began)
	for p, want := range map[Purpose][2]int64{CleanPass: {7, 110}, Perturbed: {50, 7000}, Evaluation: {1, 5},
		Allocator: {0, 0}} {
		if e := l.Of(p); e.Queries != want[0] || e.FLOPs != want[1] {
			t.Errorf("%s: %d queries and %d operations, want %v", p, e.Queries, e.FLOPs, want)
		}
	}
	if s := l.Of(CleanPass).Seconds; s < 4 || s > 60 {
		t.Errorf("twice two seconds are %v", s)
	}
	total := l.Total()
	if total.Queries != 58 || total.FLOPs != 7115 || total.Seconds < 8 {
		t.Errorf("total %+v", total)
	}
	raw, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	var back Ledger
	if err := json.Unmarshal([]byte(strings.Replace(string(raw), `"total":{"queries":58`,
		`"total":{"queries":9999`, 1)), &back); err != nil {
		t.Fatal(err)
	}
	for _, p := range Purposes() {
		if back.Of(p) != l.Of(p) {
			t.Errorf("%s came back as %+v, was %+v", p, back.Of(p), l.Of(p))
		}
	}
	if back.Total().Queries != 58 {
		t.Errorf("total of %d queries came back", back.Total().Queries)
	}
	if json.Unmarshal([]byte(`{"by_purpose":{"waste":{"queries":1}}}`), &back) == nil {
		t.Error("an unknown purpose was accepted")
	}
}
