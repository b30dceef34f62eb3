package vit

import "sync"

// turnstile lets pieces of work commit in the order of their numbers, so that
// a sum over them is the same for any number of workers. A nil one lets all in.
type turnstile struct {
	mu   sync.Mutex
	cond *sync.Cond
	next int
	done map[int]bool
}

func newTurnstile() *turnstile {
	t := &turnstile{done: map[int]bool{}}
	t.cond = sync.NewCond(&t.mu)
	return t
}

// enter waits until every earlier piece has left.
func (t *turnstile) enter(i int) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for t.next < i {
		t.cond.Wait()
	}
}

// leave lets the next piece in, whether this one entered or failed before.
func (t *turnstile) leave(i int) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.done[i] = true
	for t.done[t.next] {
		delete(t.done, t.next)
		t.next++
	}
	t.cond.Broadcast()
}
