package scrape

import "sync"

// headBytes are what a fetch waits with: heads of pages have some 200 bytes,
// and longer ones are net/http's.
const headBytes = 4 << 10

// buffers is a free list of buffers of one size, which fetchers share. Unlike a
// sync.Pool it neither forgets them at each collection nor keeps as many as
// were ever in use at once.
type buffers struct {
	size int // bytes of each
	keep int // most that wait to be used again

	mu   sync.Mutex
	free [][]byte
}

// get is a buffer whose content is left over from before.
func (b *buffers) get() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := len(b.free); n > 0 {
		buffer := b.free[n-1]
		b.free = b.free[:n-1]
		return buffer
	}
	return make([]byte, b.size)
}

// put takes back what get gave.
func (b *buffers) put(buffer []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.free) < b.keep {
		b.free = append(b.free, buffer)
	}
}

// scratch is what fetchers need for the time of one page: heads while they
// wait for an answer, which may be many at once, and windows while they read,
// which are few where one processor does it.
type scratch struct{ heads, windows *buffers }

func newScratch() scratch {
	return scratch{
		heads:   &buffers{size: headBytes, keep: 64},
		windows: &buffers{size: windowBytes, keep: 4},
	}
}
