package runs

import (
	"bufio"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/flops-vit/flops/internal/fsys"
)

// clockHead names the columns of clock.csv.
const clockHead = "step,seconds"

// Clock is clock.csv: how long the steps of a run took in all, evaluations and
// checkpoints left out. It is no part of what a run gives again byte for byte.
type Clock struct {
	path    string
	f       fsys.File
	offset  int64
	seconds float64
}

// OpenClock opens the file and keeps its first bytes, after which a run has taken
// so many seconds. A file that lost some of them begins anew.
func OpenClock(disk fsys.FS, path string, keep int64, seconds float64) (*Clock, error) {
	if st, err := os.Stat(path); err != nil || st.Size() < keep {
		keep = 0
	}
	f, err := disk.OpenAt(path, keep)
	if err != nil {
		return nil, fsys.WriteError(err, path)
	}
	c := &Clock{path: path, f: f, offset: keep, seconds: seconds}
	if keep == 0 {
		err = c.write(clockHead + "\n")
	}
	return c, err
}

func (c *Clock) write(line string) error {
	n, err := c.f.Write([]byte(line))
	c.offset += int64(n)
	return fsys.WriteError(err, c.path)
}

// Add adds what a step took.
func (c *Clock) Add(d time.Duration) { c.seconds += d.Seconds() }

// Seconds is what all steps took.
func (c *Clock) Seconds() float64 { return c.seconds }

// Log writes the line of a step.
func (c *Clock) Log(step int) error { return c.write(fmt.Sprintf("%d,%.6f\n", step, c.seconds)) }

// Sync returns, when all is on the disk, the bytes that the file has.
func (c *Clock) Sync() (int64, error) { return c.offset, c.f.Sync() }

// Close closes the file.
func (c *Clock) Close() error { return c.f.Close() }

// Tick is a line of clock.csv.
type Tick struct {
	Step    int
	Seconds float64
}

// readClock reads clock.csv, which older runs do not have. A last line that is not
// whole is left out.
func (r *Folder) readClock(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("run folder: %w", err)
	}
	defer f.Close()
	return r.lines(bufio.NewScanner(f), path, "remove the file to do without it", func(n int, line []byte) error {
		if n == 1 && string(line) == clockHead {
			return nil
		}
		t, err := parseTick(string(line))
		if err == nil {
			r.Clock = append(r.Clock, t)
		}
		return err
	})
}

func parseTick(line string) (t Tick, err error) {
	step, seconds, ok := strings.Cut(line, ",")
	if t.Step, err = strconv.Atoi(step); err == nil && ok {
		t.Seconds, err = strconv.ParseFloat(seconds, 64)
	}
	if err != nil || !ok || t.Step < 0 || !(t.Seconds >= 0) || math.IsInf(t.Seconds, 0) {
		return t, fmt.Errorf("%q is not a step and its seconds", line)
	}
	return t, nil
}

// ReadClock reads the clock of a run folder; none of a run that kept no clock.
func ReadClock(dir string) ([]Tick, error) {
	r := &Folder{}
	err := r.readClock(filepath.Join(dir, "clock.csv"))
	return r.Clock, err
}

// SecondsAt is what the steps up to one took, false where the clock has no line of it.
func (r *Folder) SecondsAt(step int) (float64, bool) {
	for i := len(r.Clock) - 1; i >= 0; i-- {
		if r.Clock[i].Step == step {
			return r.Clock[i].Seconds, true
		}
	}
	return 0, false
}
