package writer

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"kinglet/writer/queue"
	"kinglet/writer/remotewrite"
)

// endpoint is one [[writers]] table at work: a queue, and a sender that empties
// it. The queue outlives a change of the table.
type endpoint struct {
	name     string
	cfg      remotewrite.Config
	observer endpointMetrics
	queue    queue.Queue
	http     remotewrite.Doer
	relabel  remotewrite.Relabeler // nil if there are no rules
	sender   *remotewrite.Sender
	log      *slog.Logger

	cancel  context.CancelFunc // nil before start
	stopped chan struct{}      // closed when the sender has returned
}

// newEndpoint makes an endpoint on q; nothing runs yet.
func (p *Pipeline) newEndpoint(name string, cfg remotewrite.Config, q queue.Queue) (*endpoint, error) {
	http, err := p.newHTTP(cfg)
	if err != nil {
		return nil, fmt.Errorf("[[writers]] %s: %w", name, err)
	}
	rules, err := cfg.Relabeler()
	if err != nil {
		return nil, fmt.Errorf("[[writers]] %s: write_relabel_configs: %w", name, err)
	}
	e := &endpoint{
		name: name, cfg: cfg, queue: q, http: http, relabel: rules, observer: newEndpointMetrics(p.metrics, name),
		log: p.log.With("writer", name, "url", cfg.DisplayURL()), stopped: make(chan struct{}),
	}
	if e.queue == nil {
		if e.queue, err = p.newQueue(e); err != nil {
			return nil, fmt.Errorf("[[writers]] %s: %w", name, err)
		}
	}
	batching := remotewrite.Batching{MaxSamples: p.cfg.Batch, Linger: p.cfg.Linger.Duration}
	client := remotewrite.NewClient(cfg, http, p.cfg.UserAgent)
	e.sender = remotewrite.NewSender(cfg, batching, remotewrite.Source{Queue: e.queue, Families: p.families.all}, client, e.observer, e.log)
	return e, nil
}

// start runs the sender, and looks after its queue, until ctx ends or the queue
// is closed and empty.
func (p *Pipeline) start(ctx context.Context, e *endpoint) {
	ctx, e.cancel = context.WithCancel(ctx)
	p.senders.Go(func() {
		defer close(e.stopped)
		var tending sync.WaitGroup
		if l, ok := e.queue.(*queue.Log); ok {
			tending.Go(func() { l.Run(ctx) })
		}
		e.sender.Run(ctx)
		e.cancel()
		tending.Wait()
		e.http.Forget()
	})
}

// stop ends the sender and waits for it; what is in the queue stays there.
func (e *endpoint) stop() {
	if e.cancel != nil {
		e.cancel()
		<-e.stopped
	}
}

// giveUp counts what is left in the queue of a stopped endpoint as lost, but for
// what is on disk, and lets go of the queue.
func (e *endpoint) giveUp(reason string) (lost int) {
	if l, ok := e.queue.(*queue.Log); ok {
		lost = e.release(l)
	} else {
		lost = e.queue.Stats().Samples
	}
	if lost > 0 {
		e.observer.Dropped(lost, reason)
	}
	return lost
}

// Status is how an endpoint is doing, for status pages and readiness.
type Status struct {
	Name  string
	URL   string // without credentials
	Queue queue.Stats
	Disk  *queue.Disk // nil if the queue is in memory
	remotewrite.State
}

func (e *endpoint) status() Status {
	s := Status{Name: e.name, URL: e.cfg.DisplayURL(), Queue: e.queue.Stats(), State: e.sender.State()}
	if l, ok := e.queue.(*queue.Log); ok {
		disk := l.Disk()
		s.Disk = &disk
	}
	return s
}
