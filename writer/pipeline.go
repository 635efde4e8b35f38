// Package writer takes finished rows from the inputs and brings them to the
// endpoints. Rows wait in a buffer of a bounded number of samples, are encoded
// once for all endpoints that are sent the same, and wait as blocks in a
// bounded queue for each endpoint, which has a sender of its own: one endpoint
// that is slow, broken or full delays neither another nor scraping. The writer
// never changes a value or a timestamp.
package writer

import (
	"context"
	"errors"
	"log/slog"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"

	"kinglet"
	"kinglet/writer/remotewrite"
)

// Pipeline is the way from rows to endpoints. It implements kinglet.Sink.
type Pipeline struct {
	cfg     Config
	log     *slog.Logger
	metrics *metrics
	newHTTP func(remotewrite.Config) (remotewrite.Doer, error)

	room     *semaphore.Weighted // samples that fit between inputs and encoder
	buffered atomic.Int64        // samples that are there
	pushes   chan push
	stopped  chan struct{} // closed when no push is taken any more
	senders  sync.WaitGroup

	mu        sync.Mutex
	endpoints []*endpoint          // in the order of the configuration; replaced, never changed
	retiring  map[string]*endpoint // that left the configuration and still send
	running   context.Context
	ended     bool

	families families
	encoders encoders // the encoding goroutine's, as are plates, pace and revivals
	plates   plates
	pace     pace
	revivals revivals
}

// push is the rows of one Push.
type push struct {
	rows    []*kinglet.Row
	samples int
	room    int64 // held of Pipeline.room
}

// ErrStopped is what Push and Update return once the pipeline has stopped.
var ErrStopped = errors.New("writer has stopped")

// maxPushes bounds pushes waiting beside their samples.
const maxPushes = 1024

// New makes a pipeline to endpoints, of which there may be none. It checks
// and builds, takes the queues' directories, and opens no connection. Another
// process that has a directory is an error.
func New(cfg Config, endpoints []remotewrite.Config, log *slog.Logger, reg prometheus.Registerer) (*Pipeline, error) {
	p, err := newPipeline(cfg, log, remotewrite.NewHTTP)
	if err != nil {
		return nil, err
	}
	if err := p.Update(endpoints); err != nil {
		return nil, err
	}
	p.lookAtQueues(endpoints)
	return p, p.metrics.register(reg, p)
}

func newPipeline(cfg Config, log *slog.Logger, newHTTP func(remotewrite.Config) (remotewrite.Doer, error)) (*Pipeline, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.effective()
	m := newMetrics()
	p := &Pipeline{
		cfg: cfg, log: log, metrics: m, newHTTP: newHTTP, plates: plates{metrics: m, log: log}, revivals: revivals{metrics: m},
		room: semaphore.NewWeighted(int64(cfg.ChanSize)), pushes: make(chan push, maxPushes), stopped: make(chan struct{}),
		retiring: map[string]*endpoint{},
	}
	p.pace.prepare(cfg, &p.buffered)
	return p, nil
}

// Push implements kinglet.Sink. It does not wait for any endpoint. Rows without
// a sample are taken and forgotten.
func (p *Pipeline) Push(ctx context.Context, rows ...*kinglet.Row) error {
	samples := 0
	for _, r := range rows {
		samples += r.Samples()
	}
	if samples == 0 {
		return ctx.Err()
	}
	// What is larger than the whole buffer goes in when the buffer is empty.
	room := min(int64(samples), int64(p.cfg.ChanSize))
	if err := p.room.Acquire(ctx, room); err != nil {
		return err
	}
	select {
	case <-p.stopped:
	case <-ctx.Done():
	default:
		select {
		case p.pushes <- push{rows, samples, room}:
			p.buffered.Add(int64(samples))
			return nil
		case <-p.stopped:
		case <-ctx.Done():
		}
	}
	p.room.Release(room)
	if err := ctx.Err(); err != nil {
		return err
	}
	return ErrStopped
}

// Run encodes and sends until ctx ends; the inputs must have stopped by then.
// It then sends what is buffered, for drain_timeout at most, and counts what is
// left as lost. It returns when everything it started has stopped, and may be
// called once.
func (p *Pipeline) Run(ctx context.Context) error {
	// Senders outlive ctx by the drain, which ends by its own deadline.
	sending, stopSending := context.WithCancel(context.WithoutCancel(ctx))
	defer stopSending()
	p.revivals.follow(p.current())
	p.mu.Lock()
	p.running = sending
	for _, e := range p.endpoints {
		p.start(sending, e)
	}
	p.mu.Unlock()

	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case next := <-p.pushes:
			p.encode(next)
		case <-p.revivals.due():
			p.regroup()
			p.revivals.giveUp(p.encoders.groups)
		}
	}
	p.drain(stopSending)
	return nil
}

// drain sends what is left. The deadline counts from here.
func (p *Pipeline) drain(stopSending context.CancelFunc) {
	deadline := time.AfterFunc(p.cfg.DrainTimeout.Duration, stopSending)
	defer deadline.Stop()
	close(p.stopped)
	for {
		select {
		case next := <-p.pushes:
			p.encode(next)
			continue
		default:
		}
		break
	}
	p.mu.Lock()
	p.ended = true
	endpoints := p.endpoints
	p.mu.Unlock()
	for _, e := range endpoints {
		e.queue.Close()
		defer p.hurry(e).Stop()
	}
	p.senders.Wait()
	for _, e := range endpoints {
		if lost := e.giveUp(reasonShutdown); lost > 0 {
			e.log.Warn("samples are lost: the endpoint did not take them in time", "samples", lost,
				"drain_timeout", p.cfg.DrainTimeout.Duration, "last_error", e.sender.State().LastError)
		}
	}
}

// Endpoints tells how each endpoint is doing, in the order of the
// configuration.
func (p *Pipeline) Endpoints() []Status {
	endpoints := p.current()
	all := make([]Status, len(endpoints))
	for i, e := range endpoints {
		all[i] = e.status()
	}
	return all
}

// current is the endpoints as they are now.
func (p *Pipeline) current() []*endpoint {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.endpoints
}

// Update changes the endpoints. One whose name and settings are as before goes
// on undisturbed; one whose settings changed keeps its queue; one that is gone
// is given drain_timeout to take what waits for it. Update fails, and changes
// nothing, if an endpoint cannot be built; it does not check what Validate
// checks.
func (p *Pipeline) Update(configs []remotewrite.Config) error {
	names, err := Names(configs)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return ErrStopped
	}
	next := make([]*endpoint, len(configs))
	for i, cfg := range configs {
		old := find(p.endpoints, names[i])
		switch {
		case old == nil:
			p.endRetired(names[i])
			next[i], err = p.newEndpoint(names[i], cfg, nil)
		case reflect.DeepEqual(old.cfg, cfg):
			next[i] = old
		default:
			next[i], err = p.newEndpoint(names[i], cfg, old.queue)
		}
		if err != nil {
			for _, e := range next[:i] {
				if find(p.endpoints, e.name) == nil {
					e.giveUp(reasonRemoved) // nothing is in it
				}
			}
			return err
		}
	}
	p.replace(next)
	return nil
}

// replace puts next in the place of the endpoints.
func (p *Pipeline) replace(next []*endpoint) {
	before := p.endpoints
	for _, e := range before {
		switch successor := find(next, e.name); {
		case successor == nil:
			p.retire(e)
		case successor != e:
			e.stop() // quick: its request is cut off, and will be sent again
			successor.sender.Inherit(e.sender)
			if e.cfg.URL != successor.cfg.URL {
				successor.log.Info("endpoint changed its address: what waits goes to the new one", "samples", e.queue.Stats().Samples)
				successor.moved()
			}
		}
	}
	p.endpoints = next
	if p.running == nil {
		return
	}
	for _, e := range next {
		if !slices.Contains(before, e) {
			p.start(p.running, e)
		}
	}
}

// retire lets an endpoint that left the configuration send what it has.
func (p *Pipeline) retire(e *endpoint) {
	e.queue.Close()
	if p.running == nil {
		e.giveUp(reasonRemoved)
		p.metrics.forget(e.name)
		return
	}
	p.retiring[e.name] = e
	p.senders.Go(func() {
		deadline := time.AfterFunc(p.cfg.DrainTimeout.Duration, e.cancel)
		defer deadline.Stop()
		<-e.stopped
		if lost := e.giveUp(reasonRemoved); lost > 0 {
			e.log.Warn("samples are lost: their endpoint was removed", "samples", lost)
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.retiring[e.name] == e {
			delete(p.retiring, e.name)
		}
		if find(p.endpoints, e.name) == nil {
			p.metrics.forget(e.name)
		}
	})
}

func find(endpoints []*endpoint, name string) *endpoint {
	for _, e := range endpoints {
		if e.name == name {
			return e
		}
	}
	return nil
}
