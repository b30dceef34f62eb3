package train

import (
	"slices"

	"github.com/flops-vit/flops/internal/bench"
	"github.com/flops-vit/flops/internal/data"
	"github.com/flops-vit/flops/internal/prefix"
	"github.com/flops-vit/flops/internal/vit"
)

// unknownMemory is what a cache may take where the system does not say what is free.
const unknownMemory = 1 << 30

// Cache is what a run keeps of the way of its images through the part of the
// network that is not trained.
type Cache struct {
	Mode   string // off | memory | disk
	Why    string // what is left out of it, or why it is off
	Image  int64  // bytes of an image
	Images int    // that are kept once all were seen, augmentations counted
	Saved  int64  // floating-point operations of a clean pass of an image that is kept
	Of     int64  // those of one that is not

	prefix *vit.Prefix
	parts  []cached
	sum    string // of the weights that the records are made by
}

// cached is a loader with the records of its split. What the ledger counts depends
// neither on what a file held already nor on what was lost when a run stopped: an
// image is made where the run meets it first.
type cached struct {
	name   string
	loader *data.Loader
	data   data.Dataset
	kept   prefix.Cache // nil: not opened
	seen   []bool       // of a training split, per record: a step had it
	whole  bool         // an evaluation had all of the split
}

// Bytes is what everything takes once every image was seen.
func (c *Cache) Bytes() int64 { return c.Image * int64(c.Images) }

// planCache decides what is kept, and begins where that needs no folder.
func (x *Experiment) planCache() {
	x.Cache = &Cache{Mode: "off"}
	c, mode := x.Cache, x.Config.Train.Cache
	m, ok := x.Model.(interface{ Prefix() *vit.Prefix })
	switch {
	case mode == "off":
		return
	case !ok:
		c.Why = "the model can only be called"
		return
	}
	if c.prefix = m.Prefix(); c.prefix == nil {
		c.Why = "the lowest part of the network is trained"
		return
	}
	c.Saved, c.Of, c.Image = c.prefix.FLOPs, x.Model.ForwardFLOPs(), 4*int64(c.prefix.Rows)*int64(c.prefix.Width)
	c.add(data.Train, x.Loader, x.TrainData)
	for _, s := range x.Splits() {
		c.add(s.Name, s.Loader, s.Data)
	}
	c.choose(mode, x.Config.Train.CacheDir)
	if c.Mode == "memory" {
		c.inMemory()
	}
}

// add counts a split in.
func (c *Cache) add(name string, l *data.Loader, ds data.Dataset) {
	n := l.Records()
	if n == 0 {
		c.Why = "not of training images, which data.augment changes every epoch; " +
			"data.variants: 4 would keep four augmentations of each"
		return
	}
	c.Images += n
	c.parts = append(c.parts, cached{name: name, loader: l, data: ds, seen: make([]bool, n)})
}

// choose turns auto into what there is room for.
func (c *Cache) choose(mode, dir string) {
	if c.Mode = mode; mode != "auto" {
		return
	}
	free := bench.FreeMemory()
	if free == 0 {
		free = unknownMemory
	}
	if c.Mode = "memory"; c.Bytes() <= free/2 {
		return
	}
	if dir == "" {
		dir = "."
	}
	if disk := bench.FreeDisk(dir); disk == 0 || c.Bytes() <= disk/2 {
		c.Mode = "disk"
		return
	}
	c.Mode, c.Why, c.parts = "off", "neither half of the free memory nor half of the free disk would hold it", nil
}

// visited is how many records so many images of steps, and one evaluation, make.
func (c *Cache) visited(images int) int64 {
	n := 0
	for _, p := range c.parts {
		if p.name == data.Train {
			n += min(images, p.loader.Records())
			continue
		}
		n += p.loader.Records()
	}
	return int64(n)
}

// part is a split's, nil where nothing is kept of it.
func (c *Cache) part(name string) *cached {
	if c == nil {
		return nil
	}
	for i := range c.parts {
		if c.parts[i].name == name {
			return &c.parts[i]
		}
	}
	return nil
}

// visit notes that the images of a step were met, and returns the operations that
// were saved.
func (c *Cache) visit(step int) (saved int64) {
	p := c.part(data.Train)
	if p == nil {
		return 0
	}
	for _, r := range p.loader.RecordsOf(step) {
		if p.seen[r] {
			saved += c.Saved
		}
		p.seen[r] = true
	}
	return saved
}

// spared is the operations that a training image does not take once it was met.
func (c *Cache) spared() int64 {
	if c.part(data.Train) == nil {
		return 0
	}
	return c.Saved
}

// evaluated notes that so many images of a split were met, and returns the
// operations that were saved.
func (c *Cache) evaluated(name string, images int) (saved int64) {
	p := c.part(name)
	if p == nil {
		return 0
	}
	if p.whole {
		saved = int64(images) * c.Saved
	}
	p.whole = true
	return saved
}

// goOn has so many steps, and the splits of these names, be met already.
func (c *Cache) goOn(steps int, evaluated ...string) {
	if p := c.part(data.Train); p != nil {
		clear(p.seen)
		for step := range steps {
			c.visit(step)
		}
	}
	if c != nil {
		for i := range c.parts {
			c.parts[i].whole = slices.Contains(evaluated, c.parts[i].name)
		}
	}
}

// tryCache has the training images kept in memory until what it returns is called,
// where they will be kept in a file.
func (x *Experiment) tryCache() (end func()) {
	for _, p := range x.Cache.parts {
		if p.name == data.Train && p.kept == nil {
			p.loader.Remember(prefix.InMemory(p.loader.Records()))
			return func() { p.loader.Remember(nil) }
		}
	}
	return func() {}
}

// inMemory begins with nothing kept.
func (c *Cache) inMemory() {
	for i, p := range c.parts {
		c.parts[i].kept = prefix.InMemory(p.loader.Records())
		p.loader.Remember(c.parts[i].kept)
	}
}
