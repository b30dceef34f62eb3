package cluster

import (
	"encoding/json"
	"fmt"

	"github.com/nats-io/nats.go"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/train"
)

func (w *Whole) onTake(m *nats.Msg) {
	if a, ok := w.giveOf(m.Data); ok {
		respondJSON(m, a)
	}
}

// giveOf answers the request for a run; ok is false where it is none.
func (w *Whole) giveOf(raw []byte) (a given, ok bool) {
	var r take
	if len(raw) > maxHello || json.Unmarshal(raw, &r) != nil || r.ID == 0 {
		return a, false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.give(&r), true
}

func (w *Whole) give(r *take) given {
	switch {
	case w.ended:
		if t := w.workers[r.ID]; t != nil {
			_ = w.forget(t) // it has nothing
			delete(w.workers, r.ID)
		}
		return given{Done: true}
	case w.c.Numerics == "strict" && r.Canary != train.Canary():
		return given{What: fmt.Sprintf("the worker computes with %s, and these runs otherwise: %s", clean(r.Kernel, 40),
			differ),
			Hint: "start the worker with FLOPS_KERNEL of the machine that compares, or that with cluster.numerics: journal"}
	}
	t := w.known(r.ID, r.Member)
	if t == nil {
		return given{Wait: true}
	}
	_ = w.forget(t) // a run that it asks anew instead of
	n, name, c, ok := w.q.Take()
	if !ok {
		return given{Wait: true}
	}
	text, err := config.Marshal(stripped(c))
	if err != nil {
		w.q.Back(n)
		return given{Wait: true}
	}
	t.run = n
	w.stats.Tasks++
	t.Tasks++
	return given{Run: n, Name: name, Config: string(text), Path: c.Model.Path != ""}
}

func (w *Whole) onBegin(m *nats.Msg) {
	var r sees
	if len(m.Data) > maxHello || json.Unmarshal(m.Data, &r) != nil || w.q.Name(r.Run) != r.Name {
		return
	}
	e, err := w.q.Env(r.Run)
	if err != nil {
		return
	}
	a, other := otherData(&e, r.Data)
	if !other && e.Model != r.Model {
		a = welcome{What: "the worker's model is not the one that the run begins with",
			Hint: "give --model a copy of the run's model"}
	}
	respondJSON(m, a)
}

func (w *Whole) onPiece(m *nats.Msg) {
	if a, ok := w.pieceOf(m.Data); ok {
		respondJSON(m, a)
	}
}

// pieceOf takes a piece; ok is false where it is none, or where the disk will not have it,
// which ends the comparison.
func (w *Whole) pieceOf(raw []byte) (a got, ok bool) {
	var r piece
	if len(raw) > maxPieceJSON || json.Unmarshal(raw, &r) != nil || w.q.Name(r.Run) != r.Name || r.Name == "" {
		return a, false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stats.Up += int64(len(raw))
	t := w.known(r.ID, Member{})
	if t == nil || !w.q.Wanted(r.Run) {
		return got{Over: true}, true
	}
	t.run = r.Run
	a, err := w.take(t, &r)
	if err != nil {
		w.q.Fail(fmt.Errorf("cluster: the folder of %s: %w", r.Name, err))
		return a, false
	}
	return a, true
}
