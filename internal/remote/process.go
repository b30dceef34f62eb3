package remote

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"sync"
	"time"

	"github.com/flops-vit/flops/internal/oip"
)

// process is one running copy.
type process struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	raw    io.Closer // its output
	pipe   *io.PipeReader
	out    *bufio.Reader // from pipe
	stderr tail
	spec   oip.Spec      // empty until described
	done   chan struct{} // closed when it has ended
}

func start(argv []string) (*process, error) {
	p := &process{cmd: exec.Command(argv[0], argv[1:]...), done: make(chan struct{})}
	p.cmd.Stderr = &p.stderr
	p.cmd.WaitDelay = time.Second
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	// Wait closes the pipe from the program, so what it wrote last is read
	// through a pipe of our own that outlives it.
	r, w := io.Pipe()
	p.raw, p.pipe, p.out = out, r, bufio.NewReaderSize(r, 1<<16)
	go func() {
		_, err := io.Copy(w, out)
		_ = p.cmd.Wait() // how it ended is in ProcessState
		close(p.done)
		w.CloseWithError(err)
	}()
	return p, nil
}

// exchange writes a message and reads the answer.
func (p *process) exchange(h frameHeader, values []float32, limit int64) (frameHeader, []float32, error) {
	if err := writeFrame(p.in, h, values); err != nil {
		return frameHeader{}, nil, fmt.Errorf("write to it: %w", err)
	}
	h, v, err := readFrame(p.out, limit)
	if err != nil {
		err = fmt.Errorf("read from it: %w", err)
	}
	return h, v, err
}

// errKilled is what a reader of a killed program's output sees.
var errKilled = errors.New("it was killed")

// kill ends the program now, and every read from it: a child of the program may
// hold its output open.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended already
	_ = p.in.Close()
	_ = p.pipe.CloseWithError(errKilled)
	_ = p.raw.Close()
}

// patience with a program that should end.
const endWait = 2 * time.Second

// ended waits for the program's end, within reason.
func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	case <-time.After(endWait):
		return false
	}
}

// end asks the program to end, and kills it where it does not.
func (p *process) end() {
	_ = p.in.Close()
	if !p.ended() {
		p.kill()
		p.ended()
	}
}

// tail keeps the last bytes written to it.
type tail struct {
	mu sync.Mutex
	b  []byte
}

const maxTail = 400

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, b...)
	t.b = t.b[max(0, len(t.b)-maxTail):]
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.b)
}
