package cluster

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/testkit"
	"github.com/flops-vit/flops/internal/train"
)

// FuzzHello: whatever says hello is answered, and what is kept of it is bounded and fit for
// a terminal.
func FuzzHello(f *testing.F) {
	good, err := json.Marshal(hello{Protocol: version, ID: 1, Canary: train.Canary(), Member: Member{Name: "a"}})
	testkit.Must(f, err)
	f.Add(good)
	f.Add([]byte(`{"protocol":2,"id":7,"name":"\u001b[2J","room":-5,"data":{"train":{"images":-1}}}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		c := &Coordinator{host: host{c: config.Default().Cluster}, workers: map[uint64]*worker{}, banned: map[uint64]string{},
			snapshots: []snapshot{{object: "there"}}}
		c.c.Numerics = "journal"
		c.hello(raw)
		for _, w := range c.workers {
			if clean(w.Name, 40) != w.Name || clean(w.Kernel, 40) != w.Kernel || w.Room < 0 || w.Room > 1024 {
				t.Errorf("kept %+v", w.Member)
			}
		}
		if len(c.workers) > 1 {
			t.Errorf("%d workers of one hello", len(c.workers))
		}
	})
}

// FuzzReceived: no experiment that comes over the network names an address, a path or a
// program of this machine's.
func FuzzReceived(f *testing.F) {
	c := config.Default()
	text, err := config.Marshal(stripped(c))
	testkit.Must(f, err)
	f.Add(string(text))
	f.Add("model: {url: 'http://x', argv: [rm]}\ndata: {path: /etc}\n")
	f.Add("extends: /etc/passwd\n")
	f.Add("{{{")
	path := filepath.Join(f.TempDir(), "x.yaml")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := received(path, text, nil)
		if err != nil {
			return
		}
		if m := got.Model; m.Path != "" || m.URL != "" || len(m.Argv) > 0 || m.TokenEnv != "" || m.TokenFile != "" ||
			m.CAFile != "" || got.Data.Path != "" || got.Train.CacheDir != "" || got.Extends != "" || got.Cluster.NATS != "" {
			t.Errorf("%q came through", text)
		}
	})
}

// FuzzTree: whatever comes as a run folder or a checkpoint, nothing is written outside of
// the folder that it is for.
func FuzzTree(f *testing.F) {
	from := f.TempDir()
	testkit.Must(f, os.WriteFile(filepath.Join(from, "a.json"), []byte("{}"), 0o600))
	var b bytes.Buffer
	testkit.Must(f, packTree(&b, from))
	f.Add(b.Bytes())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		top := t.TempDir()
		for _, name := range []string{"tree", "flat"} {
			testkit.Must(t, os.Mkdir(filepath.Join(top, name), 0o755))
		}
		_ = unpackTree(bytes.NewReader(raw), filepath.Join(top, "tree"))
		_ = unpack(bytes.NewReader(raw), filepath.Join(top, "flat"))
		all, err := os.ReadDir(top)
		testkit.Must(t, err)
		if len(all) != 2 {
			t.Errorf("%v were written", all)
		}
	})
}
