package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/train"
	"github.com/flops-vit/flops/internal/uierr"
)

// find is the run's name, where only one is under way.
func (w *Worker) find(ctx context.Context) error {
	for told := false; w.o.Run == ""; pause(ctx, time.Second) {
		if err := ctx.Err(); err != nil {
			return err
		}
		all, err := w.conn.list(ctx)
		if r := w.conn.refused(); r != nil {
			return r
		}
		switch {
		case err == nil && len(all) == 1:
			w.o.Run = all[0].Run
		case err == nil && len(all) > 1:
			var names []string
			for _, s := range all {
				names = append(names, s.Run)
			}
			return uierr.New(fmt.Sprintf("--run: %d runs are under way: %s", len(all), strings.Join(names, ", ")),
				"name one of them by --run")
		case !told:
			told = true
			w.o.Log("waiting for a run")
		}
	}
	return nil
}

// join says hello and stands where the run's checkpoint stands.
func (w *Worker) join(ctx context.Context) error {
	raw, err := w.ask(ctx, "manifest", nil, 3*time.Second)
	if err != nil {
		return err
	}
	var m Manifest
	if len(raw) > maxHello || json.Unmarshal(raw, &m) != nil || m.Protocol != version {
		return uierr.New("the run speaks another protocol", "use the version of flops that trains")
	}
	if m.Whole {
		return w.runs(ctx)
	}
	if m.Config != w.text {
		if err := w.open(ctx, &m); err != nil {
			return err
		}
	}
	env, room := w.x.Describe(""), 1
	if m := w.x.Called(); m != nil {
		room = m.Pool().InFlight()
	}
	me := hello{Protocol: version, ID: w.id, Canary: env.Canary, Data: env.Data, Member: Member{Name: processName(),
		Kernel: env.Kernel, Device: env.Device, Threads: env.Threads, Room: room}}
	var a welcome
	if err := w.exchange(ctx, "hello", me, &a, 2*time.Minute); err != nil {
		return err
	}
	switch {
	case a.What != "":
		return uierr.New(clean(a.What, 1000), clean(a.Hint, 1000))
	case a.Ended:
		return errDone
	case a.Epoch == 0:
		return errAgain
	}
	c, err := w.conn.fetch(ctx, w.o.Run, a.Object, a.Step, filepath.Join(w.dir, "start"))
	if err != nil {
		w.o.Log(fmt.Sprintf("the run's checkpoint of step %d cannot be had: %v", a.Step, err))
		pause(ctx, 500*time.Millisecond)
		return errAgain
	}
	if err := w.f.Load(c); err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	w.epoch, w.pending, w.record, w.sent = a.Epoch, nil, nil, -1
	w.At.Store(int64(w.f.Step()))
	w.o.Log(fmt.Sprintf("joined run %s at step %d", w.o.Run, w.f.Step()))
	return nil
}

// exchange asks with one value and is answered with another.
func (w *Worker) exchange(ctx context.Context, name string, ask, answer any, wait time.Duration) error {
	body, err := json.Marshal(ask)
	if err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	raw, err := w.ask(ctx, name, body, wait)
	if err != nil {
		return err
	}
	if len(raw) > maxHello || json.Unmarshal(raw, answer) != nil {
		return errAgain
	}
	return nil
}

// open builds the run's experiment with this machine's data.
func (w *Worker) open(ctx context.Context, m *Manifest) error {
	c, err := received(filepath.Join(w.dir, "config.yaml"), m.Config, w.o.Sets)
	if err != nil {
		return err
	}
	w.o.Local(&c)
	if m.Path && c.Model.Path == "" {
		if c.Model.Path, err = w.start(ctx); err != nil {
			return err
		}
	}
	if w.x != nil {
		w.x.Close()
		w.x, w.text = nil, ""
	}
	if err := config.Validate(&c); err != nil {
		return err
	}
	if w.x, err = w.o.Open(c, w.o.Log); err != nil {
		return err
	}
	w.f, w.text = train.NewFollower(w.x), m.Config
	return nil
}

// start is a folder with the model that the run has now, for a worker that was given
// none.
func (w *Worker) start(ctx context.Context) (string, error) {
	dir := filepath.Join(w.dir, "model")
	for ctx.Err() == nil {
		raw, err := w.ask(ctx, "start", nil, 2*time.Minute)
		if err != nil {
			return "", err
		}
		var a welcome
		if len(raw) <= maxHello && json.Unmarshal(raw, &a) == nil && a.Object != "" {
			if _, err := w.conn.fetch(ctx, w.o.Run, a.Object, a.Step, dir); err == nil {
				return filepath.Join(dir, "checkpoints", fmt.Sprintf("step-%d", a.Step)), nil
			}
		}
		pause(ctx, 500*time.Millisecond)
	}
	return "", ctx.Err()
}
