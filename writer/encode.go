package writer

import (
	"maps"
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
	naming                      naming
	extended                    bool
}

// naming is remotewrite.Naming as a key.
type naming struct {
	anyName  bool
	external string // encoded labels
	relabel  string // text of the rules
}

func (n naming) full(relabel remotewrite.Relabeler) remotewrite.Naming {
	return remotewrite.Naming{AnyName: n.anyName, External: kinglet.AppendDecodedLabels(nil, []byte(n.external)), Relabel: relabel}
}

func variantOf(e *endpoint) variant {
	extended := e.sender.WantsExtended()
	var external []kinglet.Label
	for _, name := range slices.Sorted(maps.Keys(e.cfg.ExternalLabels)) {
		if value := e.cfg.ExternalLabels[name]; value != "" { // empty is the same as none (RW-29)
			external = append(external, kinglet.Label{Name: name, Value: value})
		}
	}
	return variant{
		exemplars: e.cfg.Exemplars, nativeHistograms: e.cfg.NativeHistograms, extended: extended,
		naming: naming{anyName: extended, external: string(kinglet.AppendEncodedLabels(nil, external)), relabel: e.cfg.RelabelText()},
	}
}

// group is the endpoints of one variant, and their encoder.
type group struct {
	variant variant
	naming  remotewrite.Naming
	encoder remotewrite.Encoder
	stale   []*endpoint // that take stale markers
	clean   []*endpoint // that do not

	filled      []queue.Block  // scratch of encode: not delivered yet
	filledBytes int            // of them
	plain       []*kinglet.Row // scratch of encode
	halves      splitter
}

// newGroup makes the group of e's variant, v, without endpoints.
func newGroup(e *endpoint, v variant, batch int) *group {
	g := &group{variant: v, naming: v.naming.full(e.relabel)}
	g.encoder = remotewrite.Encoder{
		MaxSamples: batch, Exemplars: v.exemplars, NativeHistograms: v.nativeHistograms, Extended: v.extended, OnDrop: g.dropped,
	}
	return g
}

// encoders belongs to the encoding goroutine.
type encoders struct {
	of            []*endpoint // what groups was made of
	extended      []bool      // and what those wanted
	groups        []*group
	metadata      bool // some endpoint is sent it
	saidNoWriters bool
}

// attached is what the writer keeps with a shape. Only the encoding goroutine
// looks into it.
type attached struct {
	views map[naming]*remotewrite.View // how each naming sends it
	noted bool                         // its families are remembered
	plate *plate                       // the stencil, if it is sent as it is

	markers map[int]*kinglet.Histogram // stale markers by column, where they are not those of any histogram
}

func attachedTo(shape *kinglet.Shape) *attached {
	a, _ := shape.Attached().(*attached)
	if a == nil {
		a = &attached{views: map[naming]*remotewrite.View{}}
		shape.Attach(a)
	}
	return a
}

// encode turns a push into blocks and hands them to the queues, which never
// block. It waits a little for senders that keep up, see pace.
func (p *Pipeline) encode(next push) {
	p.regroup()
	start := time.Now()
	if len(p.encoders.groups) == 0 {
		p.noWriters(next.samples)
	}
	if p.encoders.metadata {
		p.noteFamilies(next.rows)
	}
	p.plates.begin()
	rows := typedMarkers(next.rows)
	p.pace.begin()
	for _, g := range p.encoders.groups {
		views := p.views(g, rows)
		g.encode(&p.plates, &p.pace, views)
		p.revivals.meet(g, next.rows[0], views)
	}
	p.metrics.encoded.Add(float64(next.samples))
	p.metrics.encodeTime.Add((time.Since(start) - p.pace.waited).Seconds())
	p.buffered.Add(int64(-next.samples))
	p.room.Release(next.room)
}

// regroup follows a change of the endpoints, if there was one.
func (p *Pipeline) regroup() {
	endpoints := p.current()
	p.encoders.regroup(endpoints, p.cfg.Batch)
	p.revivals.follow(endpoints)
}

// noWriters loses samples for want of endpoints, which is legal.
func (p *Pipeline) noWriters(samples int) {
	p.metrics.dropped.WithLabelValues("none", reasonNoWriter).Add(float64(samples))
	if !p.encoders.saidNoWriters {
		p.encoders.saidNoWriters = true
		p.log.Warn("samples are scraped but sent nowhere: the configuration has no [[writers]]")
	}
}

// regroup sorts endpoints by what they are sent, if that changed.
func (e *encoders) regroup(endpoints []*endpoint, batch int) {
	same := slices.Equal(e.of, endpoints)
	for i := 0; same && i < len(endpoints); i++ {
		same = endpoints[i].sender.WantsExtended() == e.extended[i]
	}
	if same {
		return
	}
	e.of, e.extended, e.groups, e.metadata = endpoints, nil, nil, false
	for _, end := range endpoints {
		e.metadata = e.metadata || end.cfg.MetadataInterval.Duration > 0
		v := variantOf(end)
		e.extended = append(e.extended, v.extended)
		i := slices.IndexFunc(e.groups, func(g *group) bool { return g.variant == v })
		if i < 0 {
			i = len(e.groups)
			e.groups = append(e.groups, newGroup(end, v, batch))
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

// encode makes blocks of rows and delivers them, at p's pace. Rows fill stencils,
// with the stale markers that fit; the rest is encoded plainly, once if stale
// markers make no difference, else twice.
func (g *group) encode(p *plates, pace *pace, rows []*kinglet.Row) {
	g.plain = g.plain[:0]
	g.halves.begin()
	pace.turnTo(g.stale, g.clean)
	stale := false
	for _, row := range rows {
		goesOn, ends := row, (*kinglet.Row)(nil)
		if hasStale(row) {
			stale = true
			room := noRoom
			if len(g.clean) == 0 && !g.variant.extended {
				room = p.markerRoom(row)
			}
			h := g.halves.split(row, room)
			if goesOn = &h.goesOn; h.markers > 0 {
				ends = &h.ends
			}
		}
		if !g.variant.extended {
			if b, ok := p.fill(goesOn); ok {
				g.hand(b, pace)
				if row = ends; row == nil {
					continue
				}
			}
		}
		g.plain = append(g.plain, row)
	}
	g.handFilled()
	g.encodePlainly(pace, stale)
	clear(g.plain)
}

// hand delivers a block, together with those before it that are less than a bite.
func (g *group) hand(filled queue.Block, pace *pace) {
	if g.filledBytes >= bite {
		g.handFilled()
		pace.wait()
	}
	g.filled = append(g.filled, filled)
	g.filledBytes += len(filled.Stream)
}

func (g *group) handFilled() {
	deliver(g.filled, g.stale)
	deliver(g.filled, g.clean)
	for i := range g.filled {
		g.filled[i].Lease.Done()
	}
	clear(g.filled)
	g.filled, g.filledBytes = g.filled[:0], 0
}

// plainBite is how many samples are encoded plainly before their blocks are
// delivered: less than a bite, unless their labels are very long.
const plainBite = 2000

// encodePlainly encodes and delivers g.plain, which has stale markers or not.
func (g *group) encodePlainly(pace *pace, stale bool) {
	for rest := g.plain; ; pace.wait() {
		rows, samples := rest[:0], 0
		for len(rows) < len(rest) && samples < plainBite {
			samples += rest[len(rows)].Samples()
			rows = rest[:len(rows)+1]
		}
		rest = rest[len(rows):]
		if !stale || len(g.stale) > 0 {
			blocks := g.encoder.Encode(rows...)
			deliver(blocks, g.stale)
			if !stale {
				deliver(blocks, g.clean)
			}
		}
		if stale && len(g.clean) > 0 {
			deliver(g.encoder.Encode(withoutStale(rows)...), g.clean)
		}
		if len(rest) == 0 {
			return
		}
	}
}

func deliver(blocks []queue.Block, to []*endpoint) {
	for _, e := range to {
		if !queue.Lends(e.queue) {
			for i := range blocks {
				blocks[i].Lease.Hold() // for good: such a queue keeps it for as long as it likes
			}
		}
		e.queue.Append(blocks...)
	}
}

// views are rows as group g is sent them. The rows are only read.
func (p *Pipeline) views(g *group, rows []*kinglet.Row) []*kinglet.Row {
	out := make([]*kinglet.Row, 0, len(rows))
	for _, r := range rows {
		v := p.view(g, r.Shape)
		if v.Collisions > 0 {
			g.dropped(v.Collisions, reasonCollision)
		}
		if v.Nameless > 0 {
			g.dropped(v.Nameless, reasonNoName)
		}
		if v.Shape.Len() > 0 { // relabeling may drop all
			out = append(out, v.Row(r))
		}
	}
	return out
}

// view is made once for a shape and a naming, and kept with the shape.
func (p *Pipeline) view(g *group, shape *kinglet.Shape) *remotewrite.View {
	kept := attachedTo(shape)
	if v := kept.views[g.variant.naming]; v != nil {
		return v
	}
	v := g.naming.View(shape)
	p.metrics.rewritten.Add(float64(v.Rewritten))
	if len(kept.views) >= len(p.encoders.groups) {
		clear(kept.views) // left over from before a reload
	}
	kept.views[g.variant.naming] = v
	return v
}

// noteFamilies remembers the families of shapes not seen before.
func (p *Pipeline) noteFamilies(rows []*kinglet.Row) {
	for _, r := range rows {
		if kept := attachedTo(r.Shape); !kept.noted {
			kept.noted = true
			p.families.note(r.Shape)
		}
	}
}

// withoutStale is rows with nothing where they have stale markers.
func withoutStale(rows []*kinglet.Row) []*kinglet.Row {
	clean := make([]*kinglet.Row, len(rows))
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
	return clean
}
