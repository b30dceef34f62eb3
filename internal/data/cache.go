package data

import "sync/atomic"

// imageCache keeps decoded 8-bit images up to a bound. Nothing is evicted: an
// epoch visits every image once in a random order, and against such a visitor
// no replacement does better than keeping whatever came first.
type imageCache struct {
	images []atomic.Pointer[Image]
	room   atomic.Int64
}

func newImageCache(n int, bytes int64) *imageCache {
	c := &imageCache{images: make([]atomic.Pointer[Image], n)}
	c.room.Store(bytes)
	return c
}

// get returns image i, from make if it is not kept.
func (c *imageCache) get(i int, make func() (*Image, error)) (*Image, error) {
	if im := c.images[i].Load(); im != nil {
		return im, nil
	}
	im, err := make()
	if err != nil {
		return nil, err
	}
	size := int64(len(im.Pix))
	if c.room.Add(-size) < 0 {
		c.room.Add(size)
	} else if !c.images[i].CompareAndSwap(nil, im) { // another worker was first
		c.room.Add(size)
	}
	return im, nil
}
