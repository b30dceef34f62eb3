package remote

import (
	"errors"
	"fmt"
	"sync"

	"github.com/flops-vit/flops/internal/uierr"
)

// ErrBudget is the cause of the error that a spent budget.max_queries gives.
var ErrBudget = errors.New("the budget of queries is spent")

// Counts is what calling a model has cost.
type Counts struct {
	Images   int64 // answered, each counted once: the queries of the ledger
	Requests int64 // answered
	Retried  int64 // images sent in requests that failed before an answer, counted at each failure
	Known    int64 // images whose answer was known already and that were not sent
}

// Meter counts queries against a ceiling. It is safe for concurrent use.
type Meter struct {
	mu       sync.Mutex
	max      int64
	reserved int64
	c        Counts
	owed     int64 // of the images, what the run has not come to again
	since    int64 // images that were known before it began to
}

// NewMeter starts at what a run has spent before, under a ceiling of max
// queries in all; 0 means none.
func NewMeter(max int64, spent Counts) *Meter { return &Meter{max: max, c: spent} }

// Counts is what has been spent so far.
func (m *Meter) Counts() Counts {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.c
}

// Owe tells the meter of a resumed run how much of what is spent the run has charged.
// The steps taken again find the answers to the rest, and are charged for them only
// then, so that they see the budget that they saw at first.
func (m *Meter) Owe(charged int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.owed = m.c.Images - charged
	if charged > 0 {
		m.since = m.c.Known
	}
}

// Spent is the images answered, less what is still owed.
func (m *Meter) Spent() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.c.Images - max(0, m.owed-(m.c.Known-m.since))
}

// Left is how many more images may be asked for, or −1 where nothing limits them.
func (m *Meter) Left() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.max == 0 {
		return -1
	}
	return m.max - m.c.Images - m.reserved
}

// reserve sets n images aside before the first of them is sent, or refuses them
// all: the ceiling is never passed, and no step is half paid for.
func (m *Meter) reserve(n int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.max > 0 && m.c.Images+m.reserved+int64(n) > m.max {
		return uierr.Wrap(ErrBudget,
			fmt.Sprintf("budget.max_queries: %d of %d queries are spent, and %d more were asked for", m.c.Images, m.max, n),
			"raise budget.max_queries and resume the run")
	}
	m.reserved += int64(n)
	return nil
}

// release gives back what was reserved and not answered.
func (m *Meter) release(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reserved -= int64(n)
}

func (m *Meter) answered(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reserved -= int64(n)
	m.c.Images += int64(n)
	m.c.Requests++
}

func (m *Meter) retried(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.c.Retried += int64(n)
}

func (m *Meter) known(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.c.Known += int64(n)
}
