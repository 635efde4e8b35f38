package writer

import (
	"path/filepath"
	"time"

	"kinglet/writer/queue"
	"kinglet/writer/remotewrite"
)

// newQueue makes the queue of an endpoint. The directory of a queue on disk is
// known by the endpoint's name alone: a change of its address or of its place in
// the configuration keeps what waits.
func (p *Pipeline) newQueue(e *endpoint) (queue.Queue, error) {
	if p.cfg.QueueDir == "" {
		m := queue.NewMemory(int(p.cfg.QueueMaxMemory), p.queueLoss(e))
		m.OnEase(p.pace.eased)
		return m, nil
	}
	return queue.OpenLog(queue.LogConfig{
		Dir:         filepath.Join(p.cfg.QueueDir, queue.DirName(e.name)),
		MaxBytes:    int64(p.cfg.QueueMaxBytes),
		MaxAge:      p.cfg.QueueMaxAge.Duration,
		MemoryBytes: int(p.cfg.QueueMaxMemory),
		Sync:        syncs[p.cfg.QueueSync],
		Endpoint:    e.cfg.DisplayURL(),
	}, p.queueLoss(e), e.log)
}

// queueLoss counts and tells what e's queue gives up.
func (p *Pipeline) queueLoss(e *endpoint) queue.OnDrop {
	var said time.Time // guarded by the queue
	return func(samples int, reason string) {
		e.observer.Dropped(samples, reason)
		if now := time.Now(); said.IsZero() || now.Sub(said) >= time.Minute {
			said = now
			e.log.Warn("samples are lost: the queue gives them up", "reason", reason, "why", whyLost(reason), "samples", samples)
		}
	}
}

func whyLost(reason string) string {
	switch reason {
	case queue.ReasonAge:
		return "they waited for longer than queue_max_age"
	case queue.ReasonClosed:
		return "the endpoint left the configuration"
	case queue.ReasonDamaged:
		return "the disk gives them back damaged, or not at all"
	}
	return "the queue is full and its oldest go: see queue_max_memory and queue_max_bytes"
}

// moved tells a log that its endpoint has another address, lest the next start
// tells it again.
func (e *endpoint) moved() {
	if l, ok := e.queue.(*queue.Log); ok {
		l.MovedTo(e.cfg.DisplayURL())
	}
}

// release lets go of a log and tells what stays in it.
func (e *endpoint) release(l *queue.Log) (lost int) {
	lost, kept := l.Release()
	if kept > 0 {
		e.log.Info("samples wait on disk for the next start", "samples", kept)
	}
	return lost
}

// hurryAfter is the time after which a stop no longer waits for an endpoint that
// is down, if what waits for it is safe on disk.
const hurryAfter = time.Second

// hurry ends e's drain early where waiting is of no use.
func (p *Pipeline) hurry(e *endpoint) *time.Timer {
	l, ok := e.queue.(*queue.Log)
	return time.AfterFunc(hurryAfter, func() {
		if ok && l.Disk().Err == nil && e.sender.State().Failing && e.cancel != nil {
			e.cancel()
		}
	})
}

// endRetired makes way for an endpoint of the name of one that left the
// configuration a moment ago: two cannot have one directory.
func (p *Pipeline) endRetired(name string) {
	e := p.retiring[name]
	if e == nil {
		return
	}
	if l, ok := e.queue.(*queue.Log); ok {
		delete(p.retiring, name)
		e.stop()
		if lost := e.release(l); lost > 0 {
			e.observer.Dropped(lost, reasonRemoved)
		}
	}
}

// lookAtQueues tells, once at the start, what the queue directory has that the
// configuration does not speak of.
func (p *Pipeline) lookAtQueues(configs []remotewrite.Config) {
	if p.cfg.QueueDir == "" {
		return
	}
	mine := map[string]bool{}
	for _, e := range p.endpoints {
		mine[queue.DirName(e.name)] = true
	}
	unnamed := 0
	for _, cfg := range configs {
		if cfg.Name == "" {
			unnamed++
		}
	}
	if unnamed > 0 && len(configs) > 1 {
		p.log.Warn("writers without a name keep their queues by position: give each [[writers]] a name before their order changes", "unnamed", unnamed)
	}
	for _, left := range queue.Leftovers(p.cfg.QueueDir, mine, p.cfg.QueueMaxAge.Duration) {
		log := p.log.With("dir", left.Dir, "writer", left.Name, "samples", left.Samples, "bytes", left.Bytes)
		switch {
		case left.Err != nil:
			log.Warn("a queue of no writer cannot be looked at", "error", left.Err)
		case left.Removed && left.Samples > 0:
			log.Warn("a queue of no writer was older than queue_max_age and is removed")
		case !left.Removed:
			log.Warn("a queue belongs to no writer: give a writer its name to send it, or remove its directory", "newest", left.Newest.UTC().Format(time.RFC3339))
		}
	}
}
