package remotewrite

import (
	"math/rand/v2"
	"time"
)

// backoff gives the waits between attempts: from min, doubled each time, up to
// max (RW-62), with a tenth of jitter at most, always added (RW-63).
type backoff struct {
	min, max time.Duration
	next     time.Duration // 0: begin from min
}

// wait is the next wait.
func (b *backoff) wait() time.Duration {
	if b.next == 0 {
		b.next = b.min
	}
	d := b.next
	b.next = min(2*d, b.max)
	return min(d+rand.N(d/10+1), b.max)
}

// reset begins from the shortest wait again, after a success.
func (b *backoff) reset() { b.next = 0 }
