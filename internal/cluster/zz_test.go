package cluster

import (
	"os"
	"path/filepath"
	"testing"
)

func TestZZ(t *testing.T) {
	c := tiny()
	c.Train.Steps = 4
	c = changed(t, c, methods()["local"]...)
	want := alone(t, c)
	same(t, alone(t, c), want, 4)
	t.Log("alone", t.Failed())
	for _, images := range []int{8, 1} {
		p := begin(t, c, filepath.Join(t.TempDir(), "run"), Options{Images: images})
		p.run()
		p.end()
		for _, d := range []string{p.dir, want} {
			b, _ := os.ReadFile(filepath.Join(d, "metrics.jsonl"))
			t.Log(string(b))
		}
		same(t, p.dir, want, c.Train.Steps)
		t.Log(images, t.Failed())
	}
}
