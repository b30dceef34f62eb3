package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/flops-vit/flops/internal/runs"
	"github.com/rogpeppe/go-internal/testscript"
)

// measured wants on the last standard output what 'flops eval' prints of a
// measurement that the last line of a metrics.jsonl has.
//
//	measured METRICS validation|eval|best
func measured(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: measured METRICS KEY")
	}
	lines := strings.Split(strings.TrimSpace(ts.ReadFile(args[0])), "\n")
	all := map[string]json.RawMessage{}
	ts.Check(json.Unmarshal([]byte(lines[len(lines)-1]), &all))
	var e struct {
		Top1, Loss float64
		Images     int
		Retrieval  *struct {
			ZeroShot float64 `json:"zero_shot_top1"`
		}
	}
	ts.Check(json.Unmarshal(all[args[1]], &e))
	want := fmt.Sprintf("top-1 %.4f", e.Top1)
	if e.Retrieval != nil {
		want = fmt.Sprintf("zero-shot top-1 %.4f", e.Retrieval.ZeroShot)
	}
	if e.Retrieval == nil { // the loss of texts depends on the images of a batch
		want += fmt.Sprintf(", loss %.4f", e.Loss)
	}
	got := ts.ReadFile("stdout")
	if !strings.HasPrefix(got, want) || !strings.Contains(got, fmt.Sprintf("on %d images", e.Images)) {
		ts.Fatalf("%q, want %s on %d images", got, want, e.Images)
	}
}

// spentUnder wants a ledger.json of at most so many queries.
//
//	spentUnder LEDGER QUERIES
func spentUnder(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: spentUnder LEDGER QUERIES")
	}
	var l runs.Ledger
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &l))
	most, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	if n := l.Total().Queries; n > most || n == 0 {
		ts.Fatalf("%d queries were spent, at most %d may be", n, most)
	}
}
