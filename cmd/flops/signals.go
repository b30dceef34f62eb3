package main

import (
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"

	"github.com/flops-vit/flops/internal/ui"
)

// stopSignals are those that ask a command to end well: of the terminal, of a
// system that shuts down, and of a terminal that is closed, unless nohup has
// said that this does not matter.
func stopSignals() []os.Signal {
	s := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		s = append(s, syscall.SIGHUP)
	}
	return s
}

// catchSignals ends the run after the step on the first signal, and at once on
// the second. A hangup counts once, since a shell and a terminal may both send
// it. So does a standard output that nobody reads any more: what asked for the
// run is gone, and its steps must not be lost with it.
func catchSignals(warn func(string)) (*atomic.Bool, func()) {
	var stop atomic.Bool
	ch := make(chan os.Signal, 4)
	signal.Notify(ch, append(stopSignals(), syscall.SIGPIPE)...)
	go func() {
		for s := range ch {
			again := stop.Swap(true)
			switch {
			case !again && s == syscall.SIGPIPE:
				warn("nobody reads the output any more; finishing this step, then saving")
			case !again:
				warn("finishing this step, then saving; once more to leave at once")
			case s == os.Interrupt || s == syscall.SIGTERM:
				os.Exit(ui.StatusInterrupt)
			}
		}
	}()
	return &stop, func() { signal.Stop(ch); close(ch) }
}
