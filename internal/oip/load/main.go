// Command load asks a server of the Open Inference Protocol from several clients at
// once, for a time, and says how it held: failures, the tail of the latencies, and
// whether its memory stayed flat. scripts/check-serve.sh runs it against flops serve.
//
//	go run ./internal/oip/load --url http://127.0.0.1:8000 --name vit --seconds 20
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/flops-vit/flops/internal/oip"
)

// growth is how much a server's memory may rise once it is warm: a share of it, and
// what its collector leaves between two runs.
const (
	growth     = 0.10
	growthFree = 16 << 20
)

type plan struct {
	url, name string
	seconds   int
	clients   int
	batch     int
}

func main() {
	var p plan
	flag.StringVar(&p.url, "url", "http://127.0.0.1:8000", "address of the server")
	flag.StringVar(&p.name, "name", "vit", "the model's name")
	flag.IntVar(&p.seconds, "seconds", 20, "how long")
	flag.IntVar(&p.clients, "clients", 8, "requests under way at once")
	flag.IntVar(&p.batch, "batch", 4, "images of a request, at most")
	flag.Parse()
	if err := p.run(); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

// client is one that asks, and what it saw.
type client struct {
	*oip.Client
	took   []time.Duration
	images int
}

// run asks for the whole time and judges what was seen. The first fifth of it warms
// the server up: its memory counts from there.
func (p plan) run() error {
	clients := make([]*client, p.clients)
	for i := range clients {
		binary := []string{"always", "never"}[i%2]
		c, err := oip.NewClient(oip.Endpoint{URL: p.url, Name: p.name, Binary: binary}, 1, nil)
		if err != nil {
			return err
		}
		defer c.Close()
		for _, ask := range []func(context.Context) error{c.Ready, c.Describe, c.Negotiate} {
			if err := ask(context.Background()); err != nil {
				return err
			}
		}
		clients[i] = &client{Client: c}
	}
	before, err := scrape(p.url)
	if err != nil {
		return err
	}
	began, all := time.Now(), time.Duration(p.seconds)*time.Second
	ctx, cancel := context.WithTimeout(context.Background(), all)
	defer cancel()
	errs := make([]error, p.clients)
	var asking sync.WaitGroup
	for i, c := range clients {
		asking.Go(func() { errs[i] = c.ask(ctx, p.batch, uint64(i)) })
	}
	warm, peak := 0.0, 0.0
	for tick := time.NewTicker(all / 20); ctx.Err() == nil; {
		select {
		case <-tick.C:
			now, err := scrape(p.url)
			if err != nil {
				return errors.Join(err, errors.Join(errs...))
			}
			if memory := now["process_resident_memory_bytes"]; time.Since(began) < all/5 || warm == 0 {
				warm = memory
			} else {
				peak = max(peak, memory)
			}
		case <-ctx.Done():
			tick.Stop()
		}
	}
	asking.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	after, err := scrape(p.url)
	if err != nil {
		return err
	}
	return p.judge(clients, before, after, warm, peak)
}

// judge prints what was seen, and fails where counts disagree or memory grew.
func (p plan) judge(clients []*client, before, after metrics, warm, peak float64) error {
	var took []time.Duration
	images := 0
	for _, c := range clients {
		took, images = append(took, c.took...), images+c.images
	}
	if len(took) == 0 {
		return errors.New("nothing was answered")
	}
	slices.Sort(took)
	at := func(share float64) time.Duration {
		return took[min(len(took)-1, int(share*float64(len(took))))].Round(10 * time.Microsecond)
	}
	fmt.Printf("load: %d s, %d clients: %d requests of 1 to %d images, %d images, none failed\n", p.seconds, p.clients,
		len(took), p.batch, images)
	fmt.Printf("load: latency p50 %v, p99 %v, longest %v; memory %.0f MiB when warm, %.0f at most after\n",
		at(.5), at(.99), at(1), warm/(1<<20), peak/(1<<20))
	for name, want := range map[string]int{"flops_requests_total": len(took), "flops_images_total": images,
		"flops_requests_failed_total": 0} {
		if got := after[name] - before[name]; got != float64(want) {
			return fmt.Errorf("%s of the server rose by %v, want %d", name, got, want)
		}
	}
	if peak > warm*(1+growth)+growthFree {
		return fmt.Errorf("the server's memory grew from %.0f to %.0f MiB", warm/(1<<20), peak/(1<<20))
	}
	return nil
}

// ask sends one request after another until the time is over; the last is finished.
func (c *client) ask(ctx context.Context, batch int, seed uint64) error {
	r := rand.New(rand.NewPCG(seed, 0))
	pixels := make([]float32, batch*c.Spec().Pixels())
	for i := range pixels {
		pixels[i] = float32(r.NormFloat64())
	}
	logits := make([]float32, batch*c.Spec().Classes)
	for ctx.Err() == nil {
		n := 1 + r.IntN(batch)
		began := time.Now()
		x, y := pixels[:n*c.Spec().Pixels()], logits[:n*c.Spec().Classes]
		if err := c.Call(context.WithoutCancel(ctx), x, n, y); err != nil {
			return err
		}
		c.took, c.images = append(c.took, time.Since(began)), c.images+n
	}
	return nil
}
