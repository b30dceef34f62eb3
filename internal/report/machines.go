package report

import "fmt"

// SharePoint is which machines took part in a run, and what they did of it, up to a step.
type SharePoint struct {
	Step, Workers, Lag             int   // Lag: steps that the slowest worker is behind
	Tasks, Copies                  int64 // tasks given to workers, and those given to a second one
	Queries, Own, Wasted, Verified int64 // by workers, by the coordinator, answered twice, computed again
	Lost, Banned                   int64 // workers
	Up, Down                       int64 // bytes from and to workers
}

// machines tells of the other machines, where there were some.
func (r RunReport) machines() []Section {
	if len(r.Sharing) == 0 {
		return nil
	}
	end := r.Sharing[len(r.Sharing)-1]
	most := 0
	for _, s := range r.Sharing {
		most = max(most, s.Workers)
	}
	share := 0.0
	if n := end.Queries + end.Own; n > 0 {
		share = float64(end.Queries) / float64(n)
	}
	t := Table{Head: []string{"", "workers", "coordinator"}, Text: 1}
	t.Add("machines at once, at most", fmt.Sprint(most), "1")
	t.Add("queries and evaluations answered", fmt.Sprintf("%s (%.0f%%)", Count(end.Queries), 100*share), Count(end.Own))
	t.Add("tasks", Count(end.Tasks), "")
	t.Add("tasks given to a second machine", Count(end.Copies), "")
	t.Add("queries answered in vain, since another was faster", Count(end.Wasted), "")
	t.Add("results computed again", "", Count(end.Verified))
	t.Add("bytes sent", Bytes(end.Up), Bytes(end.Down))
	t.Add("workers that were lost, and banned", fmt.Sprintf("%d, %d", end.Lost, end.Banned), "")
	s := Section{Title: "Machines", Note: "Who answered the queries. That depends on which machines were there; of " +
		"the rest of this page only times do.", Blocks: []Block{t}}
	if len(r.Sharing) < 2 {
		return []Section{s}
	}
	column := func(f func(SharePoint) float64) (x, y []float64) {
		for _, p := range r.Sharing {
			x, y = append(x, float64(p.Step)), append(y, f(p))
		}
		return x, y
	}
	var small Charts
	for i, c := range []struct {
		title, how string
		f          func(SharePoint) float64
	}{
		{"Workers", "Machines that took part in the step. It falls where one went away.",
			func(p SharePoint) float64 { return float64(p.Workers) }},
		{"Steps that the slowest is behind", "At 0 every worker has the weights of this step; one that stays behind is " +
			"too slow to help.",
			func(p SharePoint) float64 { return float64(p.Lag) }},
		{"Queries answered by workers", "Of the run so far. Flat: the coordinator answered its queries itself.",
			func(p SharePoint) float64 { return float64(p.Queries) }},
		{"Kilobytes up and down", "Sent and received by the coordinator so far: what the network bears.",
			func(p SharePoint) float64 { return float64(p.Up+p.Down) / 1024 }},
	} {
		line := Series{Name: c.title, Color: []int{3, 4, 1, 2}[i]}
		line.Xs, line.Ys = column(c.f)
		small = append(small, Chart{Title: c.title, How: c.how, XTitle: "step", Series: []Series{line}, Zero: true,
			Small: true})
	}
	s.Blocks = append(s.Blocks, small)
	return []Section{s}
}

// Bytes is a number of bytes in words.
func Bytes(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.1f KB", float64(n)/(1<<10))
}
