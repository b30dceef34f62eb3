package main

import (
	"context"
	"fmt"
	"os"

	"github.com/flops-vit/flops/forward"
	"github.com/flops-vit/flops/internal/device"
	"github.com/flops-vit/flops/internal/vit"
)

// stubKey makes the program of the scripts believe that it has a GPU: the
// processor under another name, which says on standard error what it was asked.
const stubKey = "STUB_DEVICE"

func stubDevice() {
	if os.Getenv(stubKey) == "" {
		return
	}
	device.Register("cuda", device.Kind{Available: func() (bool, string) { return true, "" }, Open: openStub})
}

func openStub(spec string, n *vit.Net, o device.Options) (device.Model, error) {
	m, err := device.Open(device.CPU, n, o)
	return &stubModel{Model: m, spec: spec}, err
}

type stubModel struct {
	device.Model
	spec            string
	images, queries int
}

func (m *stubModel) Device() string { return m.spec + ", stub" }

func (m *stubModel) Evaluate(ctx context.Context, b *forward.Batch) (*forward.Clean, error) {
	m.images += b.Size
	return m.Model.Evaluate(ctx, b)
}

func (m *stubModel) Clean(ctx context.Context, b *forward.Batch, sites []int) (forward.Pass, error) {
	p, err := m.Model.Clean(ctx, b, sites)
	return &stubPass{p, m}, err
}

type stubPass struct {
	forward.Pass
	m *stubModel
}

func (p *stubPass) Losses(ctx context.Context, t *forward.Perturbation, q []forward.Query, out []float32) error {
	p.m.queries += len(q)
	return p.Pass.Losses(ctx, t, q, out)
}

func (m *stubModel) Close() error {
	fmt.Fprintf(os.Stderr, "%s answered %d images and %d queries\n", m.Device(), m.images, m.queries)
	return m.Model.Close()
}
