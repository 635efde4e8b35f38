package writer

import (
	"time"

	"kinglet/writer/queue"
)

// What a push becomes is not made all at once: a page of 20,000 series with long
// labels takes 4 MB as blocks, while a request takes a tenth of that. So blocks are
// handed over bite by bite, and the next bite is made when an endpoint has taken
// the last. That is for the sake of memory alone: who is behind, or slower than
// another, is not waited for.
const (
	bite     = 512 << 10              // bytes of blocks
	patience = 100 * time.Millisecond // in a push, in all
)

// pace belongs to the encoding goroutine.
type pace struct {
	eased  chan struct{} // a token comes when a queue has become smaller
	timer  *time.Timer
	keepUp []*queue.Memory // of endpoints; a log bounds its memory by itself
	waited time.Duration   // in this push
}

func newPace() pace {
	p := pace{eased: make(chan struct{}, 1), timer: time.NewTimer(0)}
	p.timer.Stop()
	return p
}

// begin begins a push to endpoints.
func (p *pace) begin(endpoints []*endpoint) {
	p.keepUp, p.waited = p.keepUp[:0], 0
	for _, e := range endpoints {
		if m, ok := e.queue.(*queue.Memory); ok && m.Stats().Bytes < bite {
			p.keepUp = append(p.keepUp, m)
		}
	}
}

// wait waits until one of the endpoints that keep up has room for another bite, for
// as long as there is patience.
func (p *pace) wait() {
	if p.roomy() {
		return
	}
	start := time.Now()
	p.timer.Reset(patience - p.waited)
	defer func() { p.waited += time.Since(start) }()
	for !p.roomy() {
		select {
		case <-p.eased:
		case <-p.timer.C:
			p.keepUp = p.keepUp[:0]
		}
	}
	p.timer.Stop()
}

// roomy reports whether nobody has to be waited for.
func (p *pace) roomy() bool {
	for _, m := range p.keepUp {
		if m.Stats().Bytes < bite {
			return true
		}
	}
	return len(p.keepUp) == 0
}
