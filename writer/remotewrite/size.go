package remotewrite

import (
	"time"

	"kinglet/writer/queue"
)

// maxRequest bounds the decoded size of a request in bytes: half of what common
// receivers take (RW-87). Only very long labels come near it.
const maxRequest = 16 << 20

const (
	// minRequest is as small as an endpoint's answers make requests from the
	// start, about 300 samples: less would not carry what a node scrapes, and
	// what answers 413 to everything may be well again tomorrow.
	minRequest = 64 << 10
	// growEvery: so often an eighth more is tried. At the endpoint's limit that
	// costs one refused request each time.
	growEvery = 5 * time.Minute
)

// requestSize is the decoded size in bytes that an endpoint is known to take:
// what it answered 413 to is not tried again with every batch (RW-88). It
// belongs to the sender's goroutine.
type requestSize struct {
	limit   int       // 0: maxRequest
	taken   int       // the largest request it took
	changed time.Time // the limit
}

// most is the largest request to make now.
func (r *requestSize) most() int {
	if r.limit == 0 {
		return maxRequest
	}
	return r.limit
}

// refused notes that a request of that size was too large. What was taken
// before counts for more than a guess, unless that is refused now too.
func (r *requestSize) refused(size int) {
	if r.taken >= size {
		r.taken = 0
	}
	r.limit = max(size/8*5, r.taken, minRequest)
	r.changed = time.Now()
}

// accepted notes that a request of that size was taken.
func (r *requestSize) accepted(size int) {
	r.taken = max(r.taken, size)
	if r.limit == 0 || time.Since(r.changed) < growEvery {
		return
	}
	r.changed = time.Now()
	if r.limit += r.limit / 8; r.limit >= maxRequest {
		r.limit = 0
	}
}

func rawSize(blocks []queue.Block) (size int) {
	for i := range blocks {
		size += blocks[i].RawLen
	}
	return size
}

// fitting are the first of blocks, one at least, that make a request of at most
// that size.
func fitting(blocks []queue.Block, most int) []queue.Block {
	size := 0
	for i := range blocks {
		if size += blocks[i].RawLen; size > most && i > 0 {
			return blocks[:i]
		}
	}
	return blocks
}
