package runs

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
)

// Sharing is who took part in a run, and what they did of it, up to a step. Counts go on
// over restarts of the run.
type Sharing struct {
	Step     int   `json:"step"`
	Workers  int   `json:"workers"`
	Lag      int   `json:"lag"`     // steps that the slowest of them is behind
	Tasks    int64 `json:"tasks"`   // given to workers
	Copies   int64 `json:"copies"`  // of them, given to a second one
	Queries  int64 `json:"queries"` // answered by workers
	Own      int64 `json:"own"`     // answered by the coordinator
	Wasted   int64 `json:"wasted"`  // queries answered twice
	Verified int64 `json:"verified"`
	Lost     int64 `json:"lost"` // workers that were not heard of any more
	Banned   int64 `json:"banned"`
	Up       int64 `json:"bytes_up"`
	Down     int64 `json:"bytes_down"`
}

// Add adds the counts of another one.
func (s *Sharing) Add(o Sharing) {
	s.Tasks, s.Copies, s.Queries, s.Own = s.Tasks+o.Tasks, s.Copies+o.Copies, s.Queries+o.Queries, s.Own+o.Own
	s.Wasted, s.Verified, s.Lost, s.Banned = s.Wasted+o.Wasted, s.Verified+o.Verified, s.Lost+o.Lost, s.Banned+o.Banned
	s.Up, s.Down = s.Up+o.Up, s.Down+o.Down
}

// SharingPath is the file of a run folder that tells of the machines that took part.
func SharingPath(dir string) string { return filepath.Join(dir, "cluster", "sharing.jsonl") }

// ReadSharing reads it: a line now and then, by step. Steps that were taken again count as
// they were taken last. A run of one machine has none.
func ReadSharing(dir string) []Sharing {
	f, err := os.Open(SharingPath(dir))
	if err != nil {
		return nil
	}
	defer f.Close()
	var all []Sharing
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var s Sharing
		if json.Unmarshal(lines.Bytes(), &s) != nil {
			continue // cut short by a kill
		}
		n := len(all)
		for n > 0 && all[n-1].Step >= s.Step {
			n--
		}
		all = append(all[:n], s)
	}
	return all
}
