package writer

import (
	"hash/maphash"
	"slices"
	"time"

	"kinglet"
	"kinglet/writer/queue"
	"kinglet/writer/remotewrite"
)

// revivals carry on where the process before ended, for endpoints that have a
// log: what was alive then and is no more gets its stale marker, so that a restart
// does not leave series that seem to live on until queries look no further back.
// They belong to the encoding goroutine, and cost nothing once all is known, which
// is an interval after the start.
type revivals struct {
	metrics *metrics

	of     []*endpoint // as they were looked at last
	looked map[*queue.Log]*revival
	open   int         // of looked, those that are not nil: not all is known yet
	timer  *time.Timer // nil before the first
}

// revival is what is to be found out for one log. The endpoint may be replaced
// meanwhile.
type revival struct {
	seed    maphash.Seed
	startMs int64
	formers map[uint64]*former   // by target: those that nothing came of yet
	due     map[uint64]time.Time // when they are given up
	met     map[uint64]bool      // targets that something came of
	alive   map[uint64]struct{}  // hashes of what came first of each
	ended   int
}

// How long the first row of a target is waited for: its interval, and a little. The
// first scrapes begin within half a second of the start, and end within the interval.
const (
	presumedInterval = time.Minute // where the log has one row only
	shortestGrace    = 500 * time.Millisecond
	longestWait      = 5 * time.Minute
)

func (f *former) wait() time.Duration {
	interval := f.interval
	if interval <= 0 {
		interval = presumedInterval
	}
	return min(interval+max(interval/10, shortestGrace), longestWait)
}

// follow looks into the logs of endpoints that are new.
func (r *revivals) follow(endpoints []*endpoint) {
	if slices.Equal(r.of, endpoints) {
		return
	}
	before := r.looked
	r.of, r.looked, r.open = endpoints, map[*queue.Log]*revival{}, 0
	for _, e := range endpoints {
		l, ok := e.queue.(*queue.Log)
		if !ok || !e.cfg.StaleMarkers {
			continue
		}
		revived, known := before[l]
		if !known {
			revived = r.look(e, l)
		}
		r.looked[l] = revived
		if revived != nil {
			r.open++
		}
	}
	r.rearm()
}

// look reads a log; nil if nothing was alive.
func (r *revivals) look(e *endpoint, l *queue.Log) *revival {
	now := time.Now()
	made := &revival{
		seed: maphash.MakeSeed(), startMs: now.UnixMilli(),
		due: map[uint64]time.Time{}, met: map[uint64]bool{}, alive: map[uint64]struct{}{},
	}
	made.formers = formers(l, made.seed, now)
	if len(made.formers) == 0 {
		return nil
	}
	series := 0
	for target, f := range made.formers {
		series += f.series()
		made.due[target] = now.Add(f.wait())
	}
	r.metrics.recovered.WithLabelValues(e.name).Add(float64(series))
	e.log.Info("the queue tells what was alive when kinglet ended: what does not come back is ended", "targets", len(made.formers), "series", series)
	return made
}

// meet is told of the rows of a push, as group g is sent them. Those that come
// first of a target end what it had and has no more. All rows of a scrape come in one push.
func (r *revivals) meet(g *group, of *kinglet.Row, rows []*kinglet.Row) {
	if r.open == 0 || of.Target == 0 {
		return
	}
	for _, e := range g.stale {
		revived := r.revivalOf(e)
		if revived == nil || revived.met[of.Target] {
			continue
		}
		revived.meet(of.Target, rows)
		if f := revived.formers[of.Target]; f != nil {
			r.end(g, e, of.Target, max(of.TimestampMs, f.newestMs+1))
			r.rearm()
		}
	}
}

func (r *revivals) revivalOf(e *endpoint) *revival {
	l, ok := e.queue.(*queue.Log)
	if !ok {
		return nil
	}
	return r.looked[l]
}

// meet notes what is alive. A stale marker that is there needs no other.
func (r *revival) meet(target uint64, rows []*kinglet.Row) {
	r.met[target] = true
	for _, row := range rows {
		for _, labels := range row.Shape.Where(new(kinglet.LabelRoom), func(i int) bool { return !kinglet.IsAbsent(row.Values[i]) }) {
			r.alive[maphash.Bytes(r.seed, labels)] = struct{}{}
		}
	}
}

// due tells when targets are to be given up; nil if there are none.
func (r *revivals) due() <-chan time.Time {
	if r.open == 0 {
		return nil
	}
	return r.timer.C
}

// giveUp ends the targets of which nothing came in time. Their markers have the
// time of the start, lest a first scrape that takes long, and began later, is
// taken for an old one.
func (r *revivals) giveUp(groups []*group) {
	now := time.Now()
	for _, g := range groups {
		for _, e := range g.stale {
			revived := r.revivalOf(e)
			if revived == nil {
				continue
			}
			for target, due := range revived.due {
				if !due.After(now) {
					r.end(g, e, target, max(revived.startMs, revived.formers[target].newestMs+1))
				}
			}
		}
	}
	r.rearm()
}

// end gives e stale markers of what a target had and that has not come, and
// forgets the target.
func (r *revivals) end(g *group, e *endpoint, target uint64, atMs int64) {
	revived := r.revivalOf(e)
	f := revived.formers[target]
	delete(revived.formers, target)
	delete(revived.due, target)
	var rows []*kinglet.Row
	n := 0
	for _, p := range f.parts {
		row := p.ends(remotewrite.Naming{AnyName: g.variant.extended}, revived)
		if samples := row.Samples(); samples > 0 {
			n += samples
			row.Target, row.TimestampMs = target, atMs
			rows = append(rows, row)
		}
	}
	if n > 0 {
		deliver(g.encoder.Encode(rows...), []*endpoint{e})
		r.metrics.recoveredEnds.WithLabelValues(e.name).Add(float64(n))
		revived.ended += n
	}
	if len(revived.formers) > 0 {
		return
	}
	if revived.ended > 0 {
		e.log.Info("what was alive when kinglet ended, and did not come back, is ended", "series", revived.ended)
	}
	r.looked[e.queue.(*queue.Log)] = nil
	r.open--
}

// ends is the row of a part's stale markers. Names are as they are sent, which
// differs from how the log has them only if the protocol has changed.
func (p *formerPart) ends(naming remotewrite.Naming, r *revival) *kinglet.Row {
	row := naming.View(p.shape).Row(&kinglet.Row{Shape: p.shape, Values: make([]float64, p.shape.Len()), Histograms: p.markers})
	for i, labels := range row.Shape.All() {
		row.Values[i] = kinglet.Stale()
		if _, ok := r.alive[maphash.Bytes(r.seed, labels)]; ok {
			row.Values[i] = kinglet.Absent()
		}
	}
	return row
}

// rearm sets the timer to when the next target is to be given up.
func (r *revivals) rearm() {
	if r.open == 0 {
		if r.timer != nil {
			r.timer.Stop()
		}
		return
	}
	var next time.Time
	for _, revived := range r.looked {
		if revived == nil {
			continue
		}
		for _, due := range revived.due {
			if next.IsZero() || due.Before(next) {
				next = due
			}
		}
	}
	if r.timer == nil {
		r.timer = time.NewTimer(time.Until(next))
		return
	}
	r.timer.Reset(time.Until(next))
}
