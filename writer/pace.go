package writer

import (
	"sync/atomic"
	"time"

	"kinglet/writer/queue"
)

// What a push becomes is not made all at once: a page of 20,000 series with long
// labels takes 4 MB as blocks, while a request takes a tenth of that. So blocks are
// handed over bite by bite, and between two bites an endpoint is given the time to
// take the first. That is for the sake of memory alone: who is behind, or slower than
// another, is not waited for, and nobody is while scrapes queue up.
const (
	bite     = 512 << 10              // bytes of blocks
	patience = 100 * time.Millisecond // for an endpoint to take something
	longest  = time.Second            // in a push, in all
)

// pace belongs to the encoding goroutine.
type pace struct {
	batch    int           // samples that make a request: with less a sender waits for more
	buffered *atomic.Int64 // samples that were pushed
	most     int64         // of them: with more nobody is waited for

	eased  chan struct{} // a token comes when a queue has become smaller
	timer  *time.Timer
	keepUp []*queue.Memory // of the endpoints that blocks are made for; a log bounds its memory by itself
	waited time.Duration   // in this push
}

// prepare makes p ready; it is called once. Queues put tokens into p.eased.
func (p *pace) prepare(cfg Config, buffered *atomic.Int64) {
	*p = pace{
		batch: cfg.Batch, buffered: buffered, most: int64(cfg.ChanSize) / 2,
		eased: make(chan struct{}, 1), timer: time.NewTimer(0),
	}
	p.timer.Stop()
}

// begin begins a push.
func (p *pace) begin() { p.waited = 0 }

// turnTo says for whom blocks are made from now on.
func (p *pace) turnTo(endpoints ...[]*endpoint) {
	p.keepUp = p.keepUp[:0]
	for _, some := range endpoints {
		for _, e := range some {
			if m, ok := e.queue.(*queue.Memory); ok && m.Stats().Bytes < bite {
				p.keepUp = append(p.keepUp, m)
			}
		}
	}
}

// wait waits until one of the endpoints that keep up has room for another bite, for
// as long as there is patience.
func (p *pace) wait() {
	for start, before := time.Now(), p.waited; !p.roomy(); p.waited = before + time.Since(start) {
		p.timer.Reset(min(patience, longest-p.waited))
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
		if s := m.Stats(); s.Bytes < bite || s.Samples < p.batch {
			return true
		}
	}
	return len(p.keepUp) == 0 || p.buffered.Load() > p.most
}
