package queue

import (
	"sync"
	"time"
)

// A write to the page cache takes microseconds, and making it as any system call
// costs several times that where the process was idle before: the thread that
// watches over system calls wakes, and looks every 20 µs for as long as there is
// something to do. So a disk that is quick is written to without telling the
// scheduler. As nothing else runs meanwhile, a disk that was slow once is not:
// what it holds up then is this log alone.

const (
	slowWrite   = 5 * time.Millisecond
	quickBefore = 32               // quick writes in a row before a disk is trusted
	distrust    = 10 * time.Minute // after a slow one
)

// pace is how quick a disk was lately. It is safe for concurrent use.
type pace struct {
	mu    sync.Mutex
	quick int       // writes in a row
	until time.Time // it is not trusted before
}

// trusted reports whether a write may keep everything else waiting.
func (p *pace) trusted(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.quick >= quickBefore && !now.Before(p.until)
}

// took notes how long a write took that ended at now.
func (p *pace) took(d time.Duration, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d >= slowWrite {
		p.quick, p.until = 0, now.Add(distrust)
		return
	}
	p.quick++
}
