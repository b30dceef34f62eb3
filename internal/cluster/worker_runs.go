package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/kernel"
	"github.com/flops-vit/flops/internal/train"
	"github.com/flops-vit/flops/internal/uierr"
)

// runTime is how long an answer about a whole run is waited for.
const runTime = 30 * time.Second

// runs trains whole runs until none is left.
func (w *Worker) runs(ctx context.Context) error {
	if w.o.Train == nil {
		return uierr.New("whole runs are shared out there", "start 'flops worker'")
	}
	for ctx.Err() == nil {
		var g given
		me := take{w.id, train.Canary(), Member{Name: processName(), Kernel: kernel.Describe()}}
		if err := w.exchange(ctx, "take", me, &g, runTime); err != nil {
			return err
		}
		switch {
		case g.Done:
			return errDone
		case g.What != "":
			return uierr.New(clean(g.What, 1000), clean(g.Hint, 1000))
		case g.Wait:
			pause(ctx, 500*time.Millisecond)
			continue
		}
		if err := w.whole(ctx, &g); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// whole trains a run.
func (w *Worker) whole(ctx context.Context, g *given) error {
	dir, err := os.MkdirTemp(w.dir, "run-")
	if err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	defer os.RemoveAll(dir)
	c, err := received(filepath.Join(dir, "sent.yaml"), g.Config, w.o.Sets)
	if err != nil {
		return err
	}
	w.o.Local(&c)
	if g.Path && c.Model.Path == "" {
		return uierr.New("the runs begin with a model", "give --model a copy of its folder")
	}
	if err := w.sees(ctx, g, c); err != nil {
		return err
	}
	text, err := config.Marshal(c)
	if err != nil {
		return err
	}
	file, to := filepath.Join(dir, "run.yaml"), filepath.Join(dir, "run")
	if err := fsys.WriteFile(fsys.OS, file, text); err != nil {
		return err
	}
	w.o.Log("training " + clean(g.Name, 100))
	peak, err := w.o.Train(ctx, file, to)
	if err != nil {
		return err
	}
	w.Tasks.Add(1)
	return w.send(ctx, g, to, peak)
}

// sees asks whether what this machine has is what the run is to see.
func (w *Worker) sees(ctx context.Context, g *given, c config.Config) error {
	x, err := w.o.Open(c, func(string) {})
	if err != nil {
		return err
	}
	env := x.Describe("")
	x.Close()
	var a welcome
	if err := w.exchange(ctx, "begin", sees{w.id, g.Run, g.Name, env.Data, env.Model}, &a, runTime); err != nil {
		return err
	}
	if a.What != "" {
		return uierr.New(clean(a.What, 1000), clean(a.Hint, 1000))
	}
	return nil
}

// send gives the folder of a run that was trained.
func (w *Worker) send(ctx context.Context, g *given, dir string, peak float64) error {
	file, err := os.Create(dir + ".tar")
	if err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	defer file.Close()
	if err := packTree(file, dir); err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	b := make([]byte, maxPiece/2)
	for at := int64(0); ; {
		n, err := file.ReadAt(b, at)
		last := errors.Is(err, io.EOF)
		if err != nil && !last {
			return fmt.Errorf("cluster: %w", err)
		}
		var a got
		if err := w.exchange(ctx, "piece", piece{w.id, g.Run, g.Name, at, b[:n], last, peak}, &a, runTime); err != nil {
			return err
		}
		if a.Over {
			return nil
		}
		at = a.At
	}
}
