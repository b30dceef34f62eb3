package metric

func init() {
	Register(Metric{Name: Loss, Title: "loss", About: "mean loss of an image",
		Standard: 4, Better: Lower, New: func(Task) Accumulator { return &meanLoss{} }})
}

// Loss is the name of the mean loss, by which a run is seen to diverge.
const Loss = "loss"

// meanLoss adds losses up, in their order.
type meanLoss struct {
	sum float64
	n   int
}

func (m *meanLoss) Add(b *Batch) error {
	for _, l := range b.Losses {
		m.sum += float64(l)
	}
	m.n += b.Size
	return nil
}

func (m *meanLoss) Value() []float64 { return []float64{m.sum / float64(m.n)} }
