package train

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/flops-vit/flops/internal/data"
	"github.com/flops-vit/flops/internal/prefix"
)

// cacheFolder is where a run folder has the files of its cache.
const cacheFolder = "cache"

// openCache opens the files of a run's cache, once the weights are there that the
// run begins or goes on with.
func (x *Experiment) openCache(dir string) error {
	c := x.Cache
	if c.prefix == nil {
		return nil
	}
	c.sum = x.prefixSum()
	if c.Mode != "disk" {
		return nil
	}
	if x.Config.Train.CacheDir != "" {
		dir = x.Config.Train.CacheDir
	} else {
		dir = filepath.Join(dir, cacheFolder)
	}
	for i := range c.parts {
		p := &c.parts[i]
		how, err := x.preparation(p)
		if err != nil {
			return err
		}
		k := prefix.Key{Data: data.Checksum(p.data), Weights: c.sum, Preparation: how,
			Kernel: x.arithmetic(), Records: p.loader.Records(),
			Width: c.prefix.Rows * c.prefix.Width}
		sum := func(record int) (uint64, error) { return data.ContentSum(p.data, p.loader.Image(record)), nil }
		if p.kept, err = prefix.InFile(filepath.Join(dir, p.name+".prefix"), k, sum, x.warn); err != nil {
			return err
		}
		p.loader.Remember(p.kept)
	}
	return nil
}

// preparation names how the images of a split become inputs.
func (x *Experiment) preparation(p *cached) (string, error) {
	c := x.Config.Data
	h := sha256.New()
	how, err := json.Marshal(p.loader.Transform())
	if err != nil {
		return "", fmt.Errorf("cache: %w", err)
	}
	fmt.Fprintf(h, "%s %s\n", how, c.EXIF)
	if p.loader.Augments() {
		fmt.Fprintf(h, "%d augmentations of seed %d\n", c.Variants, x.Config.Train.Seed)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// prefixSum is that of the weights that records are made by.
func (x *Experiment) prefixSum() string {
	h := sha256.New()
	fmt.Fprintf(h, "%T %+v up to %s\n", x.Local.Weights.Arch, x.Local.Weights.Arch, x.Cache.prefix.Name)
	for _, i := range x.Cache.prefix.Params {
		p := x.Model.Params()[i]
		fmt.Fprintf(h, "%s %v\n", p.Name, p.Shape)
		_ = binary.Write(h, binary.LittleEndian, p.Data) // a hash takes everything
	}
	return hex.EncodeToString(h.Sum(nil))
}

// reviseCache forgets what was kept where the weights that it is made by were
// exchanged.
func (x *Experiment) reviseCache() {
	c := x.Cache
	if c == nil || len(c.parts) == 0 {
		return
	}
	sum := x.prefixSum()
	if sum == c.sum {
		return
	}
	if c.sum = sum; c.Mode == "memory" {
		c.inMemory()
		return
	}
	for i := range c.parts { // the file is that of other weights
		c.parts[i].loader.Remember(nil)
	}
}

// closeCache closes files.
func (x *Experiment) closeCache() error {
	if x.Cache == nil {
		return nil
	}
	var errs []error
	for i := range x.Cache.parts {
		p := &x.Cache.parts[i]
		if p.kept != nil {
			p.loader.Remember(nil)
			errs = append(errs, p.kept.Close())
		}
		p.kept = nil
	}
	return errors.Join(errs...)
}
