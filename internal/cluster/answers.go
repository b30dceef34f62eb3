package cluster

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/flops-vit/flops/internal/train"
)

// answered is a line of RUN/cluster/answers.jsonl: who answered what of a step that nobody
// has computed again, who was banned in one, and to where the run has gone back for that.
type answered struct {
	Step   int            `json:"step"`
	By     map[uint64]int `json:"by,omitempty"` // images of each worker
	Banned uint64         `json:"banned,omitempty"`
	Back   bool           `json:"back,omitempty"`
}

// jot writes a line.
func (c *Coordinator) jot(a answered) error {
	line, err := json.Marshal(a)
	if err == nil {
		_, err = c.answers.Write(append(line, '\n'))
	}
	if err != nil {
		return fmt.Errorf("cluster: who answered step %d: %w", a.Step, err)
	}
	return nil
}

// note writes who answered what in a step, so that it is known after a restart whose
// steps are not to be trusted.
func (c *Coordinator) note(step int) error {
	if c.job == nil || c.answers == nil {
		return nil
	}
	by := map[uint64]int{}
	for _, e := range c.job.tasks {
		if e.by != 0 && !e.checked {
			by[e.by] += e.images
			c.answeredIn(e.by, step)
		}
	}
	if len(by) == 0 {
		return nil
	}
	return c.jot(answered{Step: step, By: by})
}

// answeredIn says that an answer of a worker in a step was not computed again.
func (c *Coordinator) answeredIn(id uint64, step int) {
	if s, ok := c.first[id]; !ok || step < s {
		c.first[id] = step
	}
}

// openAnswers reads who answered what before, and goes on writing it. A worker that was
// banned by a process that was killed before the run had gone back stays so, and the run
// goes back now.
func (c *Coordinator) openAnswers() error {
	path := filepath.Join(c.o.Dir, folder, "answers.jsonl")
	raw, err := os.ReadFile(path)
	if err == nil {
		for line := range bytes.Lines(raw) {
			var was answered
			if json.Unmarshal(line, &was) != nil {
				continue // cut short by a kill
			}
			c.recall(&was)
		}
	}
	c.answers, err = os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err == nil && len(raw) > 0 && raw[len(raw)-1] != '\n' {
		_, err = c.answers.WriteString("\n")
	}
	if err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	return nil
}

// recall takes in a line of before.
func (c *Coordinator) recall(was *answered) {
	for id := range was.By {
		c.answeredIn(id, was.Step)
	}
	if was.Banned != 0 {
		c.banned[was.Banned] = wrong
		if from, ok := c.first[was.Banned]; ok && from < was.Step && (c.owed == nil || from < c.owed.From) {
			c.owed = &train.Back{From: from, Why: fmt.Sprintf("cluster: worker %d answered wrongly in step %d and is banned",
				was.Banned, was.Step)}
		}
		delete(c.first, was.Banned)
	}
	if was.Back {
		c.owed = nil
	}
}
