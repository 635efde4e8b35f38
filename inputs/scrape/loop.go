package scrape

import (
	"context"
	"errors"
	"runtime/debug"
	"time"

	"kinglet"
)

// firstWithin spreads the first scrapes after a start: soon, but not at once.
const firstWithin = 500 * time.Millisecond

// loop scrapes one target for as long as it is wanted. Its goroutine owns
// everything but status and what Manager.mu guards.
type loop struct {
	m      *Manager
	status status
	wake   chan struct{} // something below changed

	// Guarded by Manager.mu.
	wanted  *Target // what Update asked for last
	leaving bool    // Update did not name it last time

	target  *Target
	id      uint64 // of target, as rows have it
	pager   pager
	refused error // why there is no pager
	layout  *layout
	own     ownShape
	ownSent bool  // up was sent and must be ended when the target leaves
	lastMs  int64 // timestamp of the last scrape that was sent
}

// use makes the loop scrape t from now on. The series of the target before it
// end only if t does not bring them again. A panic makes t a target whose every
// scrape fails with it.
func (l *loop) use(t *Target) {
	l.id = t.identity(l.m.input)
	defer func() {
		if p := recover(); p != nil {
			l.close()
			l.replace(newLayout(t.Page, nil))
			l.target, l.own, l.ownSent, l.pager = t, ownShape{}, false, nil
			l.refused = &panicError{p, debug.Stack()}
			l.status.reset(l.m.input, t)
		}
	}()
	made := t.own()
	next := newLayout(t.Page, made)
	if l.layout != nil {
		next.adopt(l.layout)
		if l.ownSent {
			next.adoptOwn(l.own)
		}
	}
	l.replace(next)
	l.target, l.own, l.ownSent = t, newOwnShape(made), false
	l.close()
	l.pager, l.refused = nil, t.Refused
	if l.refused == nil {
		l.pager, l.refused = newPager(t, l.m.scratch)
	}
	l.status.reset(l.m.input, t)
}

// replace puts a layout in the place of the one before, whose series it has
// adopted or forgets.
func (l *loop) replace(next *layout) {
	if l.layout != nil {
		l.layout.release()
	}
	next.budget, next.rooms, l.layout = &l.m.budget, &l.m.rooms, next
}

// close lets go of the connection to the target.
func (l *loop) close() {
	if l.pager != nil {
		l.pager.close()
	}
}

// live is the loop's goroutine. It ends when ctx does or when the target has
// left. After a panic outside of the reading of a page, which is contained
// there, the loop starts anew an interval later: one target never ends the
// program.
func (l *loop) live(ctx context.Context, out kinglet.Sink) {
	defer func() {
		l.close()
		l.layout.release()
	}()
	for !l.survived(ctx, out) {
		select {
		case <-ctx.Done():
			return
		case <-time.After(max(l.target.Interval, time.Second)):
		}
	}
}

// survived runs the loop and reports whether it came to its end.
func (l *loop) survived(ctx context.Context, out kinglet.Sink) (over bool) {
	defer func() {
		if p := recover(); p != nil {
			l.replace(newLayout(l.target.Page, nil)) // the other may be half made
			a := attempt{err: &panicError{p, debug.Stack()}}
			l.finished(time.Now(), 0, &a)
		}
	}()
	l.run(ctx, out)
	return true
}

// once is a single scrape, now, and the last. A panic is the target's error.
func (l *loop) once(ctx context.Context, out kinglet.Sink) (down, lost error) {
	defer l.close()
	defer func() {
		if p := recover(); p != nil {
			a := attempt{err: &panicError{p, debug.Stack()}}
			l.finished(time.Now(), 0, &a)
			down = a.err
		}
	}()
	return l.scrape(ctx, out, time.Now())
}

// run scrapes at the target's own phase until ctx ends or the target has left.
func (l *loop) run(ctx context.Context, out kinglet.Sink) {
	now := time.Now()
	planned := now.Add(l.target.offset() % min(l.target.Interval, firstWithin))
	first := true
	timer := time.NewTimer(time.Until(planned))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.wake:
			leaving := l.changed()
			if leaving {
				if l.leave(ctx, out, planned) {
					return
				}
			}
			planned = nextTick(time.Now(), l.target)
		case <-timer.C:
			_, _ = l.scrape(ctx, out, planned) // counted and shown by finished; a push fails when ctx ends
			planned = l.following(planned, first)
			first = false
		}
		timer.Reset(time.Until(planned))
	}
}

// following is the time of the scrape after the one planned for then. Those
// whose time has passed are left out (RW-156). The second scrape keeps at
// least half an interval away from the first, which was out of phase.
func (l *loop) following(planned time.Time, first bool) time.Time {
	now := time.Now()
	if first {
		return nextTick(later(now, planned.Add(l.target.Interval/2)), l.target)
	}
	next := planned.Add(l.target.Interval)
	if next.After(now) {
		return next
	}
	missed := now.Sub(planned) / l.target.Interval
	l.m.metrics.missed.WithLabelValues(l.m.input).Add(float64(missed))
	return nextTick(now, l.target)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// nextTick is the first time after now at which the target is due: its offset
// behind a multiple of its interval, by the absolute clock (RW-155).
func nextTick(now time.Time, t *Target) time.Time {
	interval, offset := int64(t.Interval), int64(t.offset())
	since := now.UnixNano() - offset
	return time.Unix(0, since-since%interval+interval+offset)
}

// changed takes over what Update asked for and reports whether the target is
// to leave.
func (l *loop) changed() (leaving bool) {
	l.m.mu.Lock()
	wanted, leaving := l.wanted, l.leaving
	l.m.mu.Unlock()
	switch {
	case leaving:
	case wanted != l.target && wanted.Settings != l.target.Settings:
		l.use(wanted)
	default:
		l.status.reset(l.m.input, l.target)
	}
	l.m.countTargets()
	return leaving
}

// leave waits whether the target comes back, and else ends its series
// (RW-48). It reports whether the loop is over.
func (l *loop) leave(ctx context.Context, out kinglet.Sink, firstMissed time.Time) bool {
	wait := l.target.Interval*2 + l.target.Interval/10
	if l.target.EndsAtOnce {
		// Before anything that takes its labels over is scraped.
		wait, firstMissed = 0, time.Now()
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return true
		case <-l.wake:
			if !l.changed() {
				return false
			}
			continue
		case <-timer.C:
		}
		break
	}
	endMs := l.timestamp(firstMissed)
	if l.isSent(endMs) || l.target.EndsAtOnce && endMs == l.lastMs {
		endMs = l.lastMs + max(l.target.Page.PrecisionMs, 1)
	}
	rows := l.layout.fail(endMs)
	if l.ownSent {
		rows = append(rows, l.own.ended(endMs))
		l.ownSent = false
	}
	if len(rows) > 0 {
		if err := l.push(ctx, out, rows); err != nil {
			return true // ctx ended
		}
	}
	if !l.m.forget(l) {
		l.changed() // it came back in the meantime
		return false
	}
	return true
}

// timestamp is a time as rows have it.
func (l *loop) timestamp(t time.Time) int64 {
	ms := t.UnixMilli()
	if p := l.target.Page.PrecisionMs; p > 1 {
		ms -= ms % p
	}
	return ms
}

// isSent reports whether a scrape with that timestamp was sent already, as can
// be where timestamps are cut to seconds or minutes. A clock that was set back
// by more than that is none of its business.
func (l *loop) isSent(timeMs int64) bool {
	p := l.target.Page.PrecisionMs
	return p > 1 && timeMs <= l.lastMs && l.lastMs-timeMs < p
}

// scrape does one scrape and pushes its rows. It returns what was wrong with the
// target, and whether the rows could not be pushed. If it starts as planned, or
// within min(2 ms, 1 % of the interval) of that, its timestamp is the planned
// time, so that timestamps are evenly spaced (RW-157).
func (l *loop) scrape(ctx context.Context, out kinglet.Sink, planned time.Time) (down, lost error) {
	start := time.Now()
	stamp := start
	if late := start.Sub(planned); late >= 0 && late <= min(2*time.Millisecond, l.target.Interval/100) {
		stamp = planned
	}
	timeMs := l.timestamp(stamp)
	a := l.attempt(ctx, timeMs)
	if ctx.Err() != nil {
		return nil, ctx.Err() // a stop: neither samples nor markers (RW-49)
	}
	took := time.Since(start)
	if l.own.shape != nil && !a.held {
		a.rows = append(a.rows, l.own.row(timeMs, a.report(l.target, took)))
		l.ownSent = true
	}
	l.finished(start, took, &a)
	if len(a.rows) > 0 {
		l.lastMs = timeMs
		if err := l.push(ctx, out, a.rows); err != nil {
			return a.err, err
		}
	}
	return a.err, nil
}

// push hands the rows of a scrape on.
func (l *loop) push(ctx context.Context, out kinglet.Sink, rows []*kinglet.Row) error {
	for _, row := range rows {
		row.Target = l.id
	}
	return out.Push(ctx, rows...)
}

// attempt is what one scrape came to.
type attempt struct {
	rows                          []*kinglet.Row
	err                           error
	scraped, post, added          int
	dropped, duplicates, own, bad int
	badHistograms                 int
	outOfOrder                    int
	shapes                        int
	bodyBytes                     int64
	held                          bool // another scrape was sent for its timestamp
}

// report is the values of the target's own series.
func (a *attempt) report(t *Target, took time.Duration) []float64 {
	up := 1.0
	if a.err != nil {
		up = 0
	}
	return []float64{
		up, took.Seconds(), float64(a.scraped), float64(a.post), float64(a.added),
		t.Timeout.Seconds(), float64(t.Page.SampleLimit), float64(a.pageBytes()),
	}
}

// pageBytes is the size of the page: -1 if it was over the limit, 0 if it was
// not read to its end (RW-148).
func (a *attempt) pageBytes() int64 {
	limit, ok := errors.AsType[*LimitError](a.err)
	switch {
	case ok && limit.Limit == sizeLimitName:
		return -1
	case a.err != nil && (!ok || limit.Limit != sampleLimitName && limit.Limit != bucketLimitName):
		return 0
	}
	return a.bodyBytes
}

// attempt fetches and reads the page, all or nothing (RW-115). If a scrape was
// sent for that timestamp the layout stays that of the one sent, so that series
// end with the next that is (RW-43).
func (l *loop) attempt(ctx context.Context, timeMs int64) (a attempt) {
	w := l.layout.begin(timeMs)
	a.held = l.isSent(timeMs)
	a.err = l.read(ctx, w, &a)
	a.scraped, a.dropped, a.duplicates, a.own = w.scraped, w.dropped, w.duplicates, w.ownTaken
	a.bad, a.badHistograms = w.badLines, w.badHistograms
	a.outOfOrder = w.outOfOrder
	a.post, a.added, a.shapes = w.scraped-w.dropped-w.refused, len(w.fresh)+w.revived+w.overLimit, w.shapesMade
	if a.err == nil && !a.held {
		w.done()
		return a
	}
	if _, broken := a.err.(*panicError); broken && l.refused == nil { //nolint:errorlint // made by read, never wrapped
		fresh := newLayout(l.target.Page, l.target.own())
		fresh.adopt(l.layout)
		l.replace(fresh)
	} else {
		w.abandon()
		w.done()
	}
	if a.held {
		a.outOfOrder = a.post - a.duplicates - a.own
		return a
	}
	a.rows = l.layout.fail(timeMs)
	if limitIs(memoryLimitName)(a.err) {
		// The series have ended. Without them there may be room for the next page.
		l.replace(newLayout(l.target.Page, l.target.own()))
	}
	return a
}

// read fetches the page and commits it. A panic is contained: one target's
// page must not end the others' scrapes.
func (l *loop) read(ctx context.Context, w *walk, a *attempt) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &panicError{p, debug.Stack()}
		}
	}()
	if l.refused != nil {
		return l.refused
	}
	if a.bodyBytes, err = l.pager.fetch(ctx, w); err != nil {
		return err
	}
	if !a.held {
		a.rows = w.commit()
	}
	return nil
}

// finished counts and reports a scrape. A row of failures is logged when it
// begins and when it ends.
func (l *loop) finished(start time.Time, took time.Duration, a *attempt) {
	m, input := l.m.metrics, l.m.input
	m.scrapes.WithLabelValues(input).Inc()
	m.samples.WithLabelValues(input).Add(float64(a.scraped))
	m.shapes.WithLabelValues(input).Add(float64(a.shapes))
	m.bodyBytes.WithLabelValues(input).Add(float64(a.bodyBytes))
	m.seconds.WithLabelValues(input).Add(took.Seconds())
	drop := func(reason string, n int) {
		if n > 0 {
			m.dropped.WithLabelValues(input, reason).Add(float64(n))
		}
	}
	drop("filter", a.dropped)
	drop("duplicate", a.duplicates)
	drop("own_series", a.own)
	drop("out_of_order", a.outOfOrder)
	drop("bad_line", a.bad)
	drop("bad_histogram", a.badHistograms)
	if a.err != nil {
		m.failures.WithLabelValues(input, reasonOf(a.err)).Inc()
		if !a.held {
			drop("failed_scrape", a.post-a.duplicates-a.own)
		}
	}
	if !a.held {
		drop("duplicate", l.own.duplicates)
	}
	what, downFor := l.status.finish(start, took, a.scraped, a.err)
	if what == unchanged {
		return
	}
	log := l.m.log.With("target", shownURL(l.target.URL))
	switch what {
	case wentDown:
		log.Warn("target is down", "error", a.err)
	case wentUp:
		log.Info("target is up again", "down_for", downFor)
	case firstUp:
		log.Debug("target is up", "samples", a.scraped)
	case unchanged:
	}
	if broken, ok := a.err.(*panicError); ok { //nolint:errorlint // made by read, never wrapped
		log.Error("a target made kinglet fail", "panic", broken.value, "stack", string(broken.stack))
	}
	l.m.countTargets()
}
