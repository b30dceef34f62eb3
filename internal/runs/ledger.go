package runs

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/query"
)

// Purpose says what a query was spent on.
type Purpose string

// The purposes of the ledger.
const (
	CleanPass  Purpose = "clean"
	Perturbed  Purpose = "perturbed"
	Allocator  Purpose = "allocator"
	Evaluation Purpose = "evaluation"
)

// Entry is what one purpose has cost.
type Entry struct {
	Queries int64   `json:"queries"`
	FLOPs   int64   `json:"flops"`
	Seconds float64 `json:"seconds"`
}

func (e *Entry) add(o Entry) {
	e.Queries += o.Queries
	e.FLOPs += o.FLOPs
	e.Seconds += o.Seconds
}

// Apart is the queries of a model of images and texts by what was asked.
type Apart struct {
	Images int64 `json:"images"`
	Texts  int64 `json:"texts"`
}

// Ledger counts every query of a run, by purpose. Its JSON is
// {"total":{"queries","flops","seconds"},"by_purpose":{...}}, and for a model of
// images and texts "apart":{"images","texts"}.
type Ledger struct {
	by    map[Purpose]*Entry
	apart *Apart
}

// Apart is the total by what was asked, nil where there are no texts.
func (l *Ledger) Apart() *Apart { return l.apart }

// NewLedger is an empty ledger with every purpose at zero.
func NewLedger() *Ledger {
	l := &Ledger{by: map[Purpose]*Entry{}}
	for _, p := range Purposes() {
		l.by[p] = &Entry{}
	}
	return l
}

// Purposes lists the purposes in the order of a step.
func Purposes() []Purpose { return []Purpose{CleanPass, Allocator, Perturbed, Evaluation} }

// Spend adds queries, the floating-point operations they took and the time since began.
func (l *Ledger) Spend(p Purpose, queries, flops int64, began time.Time) {
	l.by[p].add(Entry{Queries: queries, FLOPs: flops, Seconds: time.Since(began).Seconds()})
}

// Charge is Spend for work of a model in which asked queries were asked. Of one that
// meters itself it is what the ledger does not hold yet of all that was spent: the
// total is then the meter's, whatever was known already.
func (l *Ledger) Charge(m query.Model, p Purpose, asked, flops int64, began time.Time) {
	if metered, ok := forward.As[query.Metered](m); ok {
		asked = max(0, metered.Spent()-l.Total().Queries)
	}
	if two, ok := m.(query.TwoSided); ok {
		flops = max(0, two.SpentFLOPs()-l.Total().FLOPs)
		l.apart = &Apart{}
		l.apart.Images, l.apart.Texts = two.Apart()
	}
	l.Spend(p, asked, flops, began)
}

// Spare takes back operations that were not made, because their results were kept.
func (l *Ledger) Spare(p Purpose, flops int64) { l.by[p].FLOPs -= flops }

// Of is what one purpose has cost so far.
func (l *Ledger) Of(p Purpose) Entry { return *l.by[p] }

// Total is the sum over the purposes.
func (l *Ledger) Total() Entry {
	var t Entry
	for _, p := range Purposes() {
		t.add(*l.by[p])
	}
	return t
}

type ledgerJSON struct {
	Total     Entry             `json:"total"`
	ByPurpose map[Purpose]Entry `json:"by_purpose"`
	Apart     *Apart            `json:"apart,omitempty"`
}

// MarshalJSON writes the total and every purpose.
func (l *Ledger) MarshalJSON() ([]byte, error) {
	j := ledgerJSON{Total: l.Total(), ByPurpose: map[Purpose]Entry{}, Apart: l.apart}
	for p, e := range l.by {
		j.ByPurpose[p] = *e
	}
	return json.Marshal(j)
}

// UnmarshalJSON reads what MarshalJSON wrote; the total is recomputed.
func (l *Ledger) UnmarshalJSON(b []byte) error {
	var j ledgerJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	*l = *NewLedger()
	l.apart = j.Apart
	for p, e := range j.ByPurpose {
		if l.by[p] == nil {
			return fmt.Errorf("ledger: unknown purpose %q", p)
		}
		*l.by[p] = e
	}
	return nil
}
