package oip

import (
	"context"
	"testing"

	"github.com/flops-vit/flops/internal/testkit"
)

// linear is testkit.Linear as a model.
type linear struct{ spec Spec }

func small() linear { return linear{Spec{Name: "lin", Channels: 1, Height: 4, Width: 3, Classes: 3}} }

func (l linear) Spec() Spec { return l.spec }

func (l linear) Logits(_ context.Context, x []float32, n int) ([]float32, error) {
	return testkit.Linear(x, n, l.spec.Pixels(), l.spec.Classes), nil
}

// open is a client that has read all it asks before its first call.
func open(t *testing.T, e Endpoint) *Client {
	t.Helper()
	c, err := NewClient(e, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, ask := range []func(context.Context) error{c.Ready, c.Describe, c.Negotiate} {
		if err := ask(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}
