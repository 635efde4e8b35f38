package writer

import (
	"slices"
	"time"

	"kinglet"
	"kinglet/writer/queue"
	"kinglet/writer/remotewrite"
)

// variant is what can differ between the blocks of two endpoints, but for stale
// markers: most scrapes have none, and then it makes no difference.
type variant struct {
	exemplars, nativeHistograms bool
}

// group is the endpoints of one variant, and their encoder.
type group struct {
	variant variant
	encoder remotewrite.Encoder
	stale   []*endpoint // that take stale markers
	clean   []*endpoint // that do not
}

// encoders belongs to the encoding goroutine.
type encoders struct {
	of            []*endpoint // what groups was made of
	groups        []*group
	saidNoWriters bool
}

// attached is what the writer keeps with a shape.
type attached struct{ view *remotewrite.View }

// encode turns a push into blocks and hands them to the queues, which never
// block.
func (p *Pipeline) encode(next push) {
	p.mu.Lock()
	endpoints := p.endpoints
	p.mu.Unlock()
	p.encoders.regroup(endpoints, p.cfg.Batch)
	start := time.Now()
	if len(endpoints) == 0 {
		p.noWriters(next.samples)
	}
	rows := p.views(next.rows)
	for _, g := range p.encoders.groups {
		g.encode(rows)
	}
	p.metrics.encoded.Add(float64(next.samples))
	p.metrics.encodeTime.Add(time.Since(start).Seconds())
	p.buffered.Add(int64(-next.samples))
	p.room.Release(next.room)
}

// noWriters loses samples for want of endpoints, which is legal.
func (p *Pipeline) noWriters(samples int) {
	p.metrics.dropped.WithLabelValues("none", reasonNoWriter).Add(float64(samples))
	if !p.encoders.saidNoWriters {
		p.encoders.saidNoWriters = true
		p.log.Warn("samples are scraped but sent nowhere: the configuration has no [[writers]]")
	}
}

// regroup sorts endpoints by what they are sent, if they changed.
func (e *encoders) regroup(endpoints []*endpoint, batch int) {
	if slices.Equal(e.of, endpoints) {
		return
	}
	e.of, e.groups = endpoints, nil
	for _, end := range endpoints {
		v := variant{exemplars: end.cfg.Exemplars, nativeHistograms: end.cfg.NativeHistograms}
		i := slices.IndexFunc(e.groups, func(g *group) bool { return g.variant == v })
		if i < 0 {
			i = len(e.groups)
			g := &group{variant: v}
			g.encoder = remotewrite.Encoder{
				MaxSamples: batch, Exemplars: v.exemplars, NativeHistograms: v.nativeHistograms, OnDrop: g.dropped,
			}
			e.groups = append(e.groups, g)
		}
		if end.cfg.StaleMarkers {
			e.groups[i].stale = append(e.groups[i].stale, end)
		} else {
			e.groups[i].clean = append(e.groups[i].clean, end)
		}
	}
}

// dropped counts what the message cannot carry, for each endpoint.
func (g *group) dropped(samples int, reason string) {
	for _, e := range slices.Concat(g.stale, g.clean) {
		e.observer.Dropped(samples, reason)
	}
}

// encode encodes rows once if stale markers make no difference, else twice.
func (g *group) encode(rows []*kinglet.Row) {
	clean, same := withoutStale(rows)
	if same || len(g.stale) > 0 {
		blocks := g.encoder.Encode(rows...)
		deliver(blocks, g.stale)
		if same {
			deliver(blocks, g.clean)
		}
	}
	if !same && len(g.clean) > 0 {
		deliver(g.encoder.Encode(clean...), g.clean)
	}
}

func deliver(blocks []queue.Block, to []*endpoint) {
	for _, b := range blocks {
		for _, e := range to {
			e.queue.Append(b)
		}
	}
}

// views are rows as remote write 1.0 can carry their names.
func (p *Pipeline) views(rows []*kinglet.Row) []*kinglet.Row {
	for i, r := range rows {
		kept, _ := r.Shape.Attached().(*attached)
		if kept == nil {
			kept = &attached{view: remotewrite.NewView(r.Shape)}
			r.Shape.Attach(kept)
			p.metrics.rewritten.Add(float64(kept.view.Rewritten))
		}
		if lost := kept.view.Collisions; lost > 0 {
			for _, e := range p.encoders.of {
				e.observer.Dropped(lost, reasonCollision)
			}
		}
		rows[i] = kept.view.Row(r)
	}
	return rows
}

// withoutStale is rows without their stale markers, and whether that is rows.
func withoutStale(rows []*kinglet.Row) (clean []*kinglet.Row, same bool) {
	if !slices.ContainsFunc(rows, func(r *kinglet.Row) bool { return slices.ContainsFunc(r.Values, kinglet.IsStale) }) {
		return rows, true
	}
	clean = make([]*kinglet.Row, len(rows))
	for i, r := range rows {
		c := *r
		c.Values = slices.Clone(r.Values)
		for j, v := range c.Values {
			if kinglet.IsStale(v) {
				c.Values[j] = kinglet.Absent()
			}
		}
		clean[i] = &c
	}
	return clean, false
}
