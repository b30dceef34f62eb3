package train

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flops-vit/flops/internal/checkpoint"
	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/data"
	"github.com/flops-vit/flops/internal/fsys"
	"github.com/flops-vit/flops/internal/hf"
	"github.com/flops-vit/flops/internal/network"
	"github.com/flops-vit/flops/internal/oip"
	"github.com/flops-vit/flops/internal/runs"
	"github.com/flops-vit/flops/internal/safetensors"
	"github.com/flops-vit/flops/internal/uierr"
)

// fewer answers like sums, with one class less.
type fewer struct{ sums }

func (fewer) Spec() oip.Spec {
	s := sums{}.Spec()
	s.Classes--
	return s
}

// A prompt that was learned in front of a model, and the mapping behind it,
// answer from their checkpoint as they did in the run.
func TestPromptedAnswersAsInTheRun(t *testing.T) {
	for _, mapping := range []string{"learned", "linear"} {
		h, url := serveModel(t, sums{})
		x := openRemoteRun(t, url, 400)
		x.Config.Prompt.Mapping.Kind = mapping
		dir := t.TempDir()
		out, err := Run(context.Background(), x, RunOptions{Dir: dir, Watch: silent{}})
		if err != nil {
			t.Fatal(err)
		}
		cfg := x.Config
		x.Close()
		s0, _, err := runs.LastState(dir)
		if err != nil {
			t.Fatal(err)
		}
		if n := s0.Ledger.Of(runs.Evaluation).Queries; n%int64(out.Eval.Images) != 0 {
			t.Errorf("%s: %d queries of evaluation: those of the mapping are of training", mapping, n)
		}

		last := filepath.Join(dir, "checkpoints", "last")
		p, err := network.Open(context.Background(), last, cfg, func(string) {})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		ds, err := data.Open(cfg.Data, data.Test)
		if err != nil {
			t.Fatal(err)
		}
		tr, err := p.Transform(config.Data{})
		if err != nil {
			t.Fatal(err)
		}
		loader, err := data.NewLoader(ds, data.LoaderConfig{BatchSize: 1, Transform: tr})
		if err != nil {
			t.Fatal(err)
		}
		defer loader.Close()
		before := h.Stats().Images
		e, err := Evaluate(context.Background(), p.Model, loader.Sequential(64), 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		if e.Score() != out.Eval.Score() || e.Loss() != out.Eval.Loss() {
			t.Errorf("%s: accuracy %v and loss %v, in the run %v and %v", mapping, e.Score(), e.Loss(), out.Eval.Score(),
				out.Eval.Loss())
		}
		if n := h.Stats().Images - before; n != int64(e.Images) {
			t.Errorf("%s: %d images measured, the server answered %d", mapping, e.Images, n)
		}
		if len(p.Labels) != 4 || p.Height != 16 || p.Width != 16 || p.Chans != 3 {
			t.Errorf("%s: classes %v, images of %d×%d", mapping, p.Labels, p.Height, p.Width)
		}
	}
}

func TestPromptedRefuses(t *testing.T) {
	_, url := serveModel(t, sums{})
	dir := t.TempDir()
	remoteRun(t, url, dir, 200, false)
	x := openRemoteRun(t, url, 200)
	cfg := x.Config
	x.Close()
	last := filepath.Join(dir, "checkpoints", "last")
	good, err := checkpoint.LoadPrompt(last)
	if err != nil {
		t.Fatal(err)
	}
	_, other := serveModel(t, fewer{})
	elsewhere := cfg
	elsewhere.Model.URL = other
	alone := filepath.Join(t.TempDir(), "alone")
	if err := hf.Save(fsys.OS, alone, good, safetensors.F32); err != nil {
		t.Fatal(err)
	}
	broken := func(name string, change func(*hf.Model)) string {
		m := hf.NewPrompt(append([]safetensors.Tensor(nil), good.Extra...), good.Metadata)
		change(m)
		path := filepath.Join(t.TempDir(), name)
		if err := hf.Save(fsys.OS, path, m, safetensors.F32); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, c := range []struct {
		what, path string
		cfg        config.Config
		want       string
	}{
		{"a model with a class less", last, elsewhere, "mapping.weight"},
		{"no run folder", alone, config.Default(), "without its run folder"},
		{"no mode", broken("a", func(m *hf.Model) { delete(m.Metadata, "prompt.mode") }), cfg, "prompt.mode"},
		{"a width of words", broken("b", func(m *hf.Model) { m.Metadata["prompt.width"] = "two" }), cfg, "prompt.width"},
		{"no classes", broken("c", func(m *hf.Model) { m.Metadata["classes"] = "[" }), cfg, "classes"},
		{"a wider frame", broken("d", func(m *hf.Model) { m.Metadata["prompt.width"] = "3" }), cfg, "prompt.frame"},
		{"no mapping", broken("e", func(m *hf.Model) { m.Extra = m.Extra[:1] }), cfg, "mapping"},
	} {
		_, err := network.Open(context.Background(), c.path, c.cfg, func(string) {})
		if u, ok := uierr.As(err); !ok || !strings.Contains(u.Error(), c.want) {
			t.Errorf("%s: %v", c.what, err)
		}
	}
}
