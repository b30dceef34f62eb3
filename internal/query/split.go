package query

import "context"

type splitKey struct{}

// OfSplit marks what is asked under a context as the evaluation of a split, in its order,
// by the weights that a run has after its last step: whoever follows the run can answer
// some of it.
func OfSplit(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, splitKey{}, name)
}

// SplitOf is the split that is evaluated, empty where none is.
func SplitOf(ctx context.Context) string {
	name, _ := ctx.Value(splitKey{}).(string)
	return name
}
