package cluster

import "github.com/flops-vit/flops/internal/runs"

// given is the answer to it.
type given struct {
	What   string `json:"what,omitempty"` // why there is none for this worker
	Hint   string `json:"hint,omitempty"`
	Done   bool   `json:"done,omitempty"`
	Wait   bool   `json:"wait,omitempty"`
	Run    int    `json:"run"`
	Name   string `json:"name"`
	Config string `json:"config"`
	Path   bool   `json:"path"` // it begins with a model folder
}

// sees is what a worker has to train a run with.
type sees struct {
	ID    uint64                   `json:"id"`
	Run   int                      `json:"run"`
	Name  string                   `json:"name"`
	Data  map[string]runs.SplitSum `json:"data"`
	Model string                   `json:"model"`
}

// piece is some of a run folder.
type piece struct {
	ID      uint64  `json:"id"`
	Run     int     `json:"run"`
	Name    string  `json:"name"`
	At      int64   `json:"at"`
	Bytes   []byte  `json:"bytes"`
	Last    bool    `json:"last"`
	PeakMiB float64 `json:"peak_mib"`
}

// got answers it: how much there is, and where no more is wanted, that.
type got struct {
	At   int64 `json:"at"`
	Over bool  `json:"over"`
}

// maxPieceJSON bounds such a request, whose bytes are base64.
const maxPieceJSON = 2 * maxPiece
