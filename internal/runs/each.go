package runs

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
)

// EachStep hands take the lines of a run's metrics.jsonl, with the error of a line that is
// none, as the last of a run that was killed may be; take's error ends it. Errors are those
// of opening and reading the file, and take's.
func EachStep(dir string, take func(m *StepMetrics, bad error) error) error {
	f, err := os.Open(filepath.Join(dir, "metrics.jsonl"))
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, maxMetric)
	for lines.Scan() {
		var m StepMetrics
		bad := json.Unmarshal(lines.Bytes(), &m)
		if err := take(&m, bad); err != nil {
			return err
		}
	}
	return lines.Err()
}
