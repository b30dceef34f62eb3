package train

// evalCost is the queries of one evaluation.
func (x *Experiment) evalCost() int64 {
	n := int64(x.TestData.Len())
	if l := int64(x.Config.Train.EvalImages); l > 0 && l < n {
		return l
	}
	return n
}
