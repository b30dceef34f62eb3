package pages

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/flops-vit/flops/internal/config"
	"github.com/flops-vit/flops/internal/report"
	"github.com/flops-vit/flops/internal/runs"
	"github.com/flops-vit/flops/internal/testkit"
)

// FuzzRun: whatever the files of a run folder hold, its page is made, or the folder is
// refused with an error.
func FuzzRun(f *testing.F) {
	metrics := `{"step":1,"loss":2.3,"accuracy":0.1,"queries":64,"lr":0.001,"grad_norm":1,"variance_ratio":0.9,` +
		`"residual":{"block0.query":0.5},"cosine":{"block0.query":0.9}}
{"step":2,"loss":1e308,"eval":{"accuracy":0.5,"loss":1}}
`
	ledger := `{"by_purpose":{"clean":{"queries":8,"flops":100,"seconds":1}},"total":{"queries":8}}`
	sharing := `{"step":1,"workers":2,"tasks":4,"bytes_up":10}
{"step":-9223372036854775808,"workers":-1}
{"step":2,"lag":`
	for _, m := range []string{metrics, "", "{}\n", "null\n[]\n", metrics[:80]} {
		f.Add([]byte(m), []byte("step,seconds\n1,0.5\n2,0.7\n"), []byte(ledger), []byte(sharing), []byte(`{"go":"go1.26"}`))
	}
	f.Add([]byte(metrics), []byte("1,NaN\n"), []byte(`{"by_purpose":{"clean":{"queries":-1,"seconds":-1e300}}}`),
		[]byte(sharing), []byte(`[]`))
	dir := f.TempDir()
	c := config.Default()
	testkit.Must(f, os.Mkdir(filepath.Join(dir, "cluster"), 0o755))
	f.Fuzz(func(t *testing.T, metrics, clock, ledger, sharing, env []byte) {
		for name, b := range map[string][]byte{"metrics.jsonl": metrics, "clock.csv": clock, "ledger.json": ledger,
			"cluster/sharing.jsonl": sharing, "env.json": env} {
			testkit.Write(t, filepath.Join(dir, name), b)
		}
		r, err := runs.Read(dir)
		if err != nil {
			return
		}
		page := &report.RunReport{}
		if r.Env != nil {
			page.Env = envFacts(*r.Env)
		}
		fill(page, r, c)
		if err := page.Write(io.Discard); err != nil {
			t.Fatalf("%s %s %s %s: %v", metrics, clock, ledger, sharing, err)
		}
	})
}
