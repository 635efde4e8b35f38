package scrape

import (
	"math"

	"kinglet"
)

// A page may give timestamps that stand still or go back. Receivers refuse
// what is older than the newest sample of its series, and a second value for
// one time, and with it often the whole request (RW-40, RW-43). So the walk
// holds such samples back; their series stay what they were.

// newest is the last sample of a series that was sent.
type newest struct {
	ms   int64
	bits uint64 // of its value
}

// holdBack takes out of the columns what must not be sent, once it is settled
// which series the page has. Pages without timestamps cost nothing.
func (w *walk) holdBack() {
	if w.times == nil && w.l.newest == nil {
		return
	}
	w.held = make([]bool, len(w.values))
	for i, value := range w.values {
		if kinglet.IsAbsent(value) || kinglet.IsStale(value) {
			continue
		}
		last, ok := w.newestOf(int32(i))
		at := w.timeOf(int32(i))
		if !ok || at > last.ms {
			continue
		}
		w.held[i] = true
		if at < last.ms || last.bits != math.Float64bits(value) {
			w.outOfOrder++
		}
	}
	for i, held := range w.held {
		if held {
			w.values[i] = kinglet.Absent()
		}
	}
	w.exemplarsOfSent()
}

// exemplarsOfSent drops exemplars whose sample is held back.
func (w *walk) exemplarsOfSent() {
	kept := w.exemplars[:0]
	for _, e := range w.exemplars {
		if !w.held[e.Column] {
			kept = append(kept, e)
		}
	}
	w.exemplars = kept
}

// newestOf is the newest sample that was sent of a column's series, and false
// if the layout knows of none.
func (w *walk) newestOf(column int32) (last newest, ok bool) {
	if !w.twins.any() {
		return w.newestIn(column)
	}
	for _, c := range w.twins.of(column) {
		if n, known := w.newestIn(c); known && (!ok || n.ms > last.ms) {
			last, ok = n, true
		}
	}
	return last, ok
}

// newestIn is that of one column. A series that comes back is held to what it
// had been sent, its stale marker included: a pod that is replaced by one of the
// same name may bring timestamps from before the marker.
func (w *walk) newestIn(column int32) (last newest, ok bool) {
	if n := w.l.columns(); int(column) >= n {
		last, ok = w.l.former[w.fresh[int(column)-n].set]
		return last, ok
	}
	return w.l.newestIn(column)
}

// What is remembered of series with timestamps of their own that were ended.
const (
	formerMs   = 10 * 60_000 // no page is further behind the clock
	mostFormer = 10_000
)

// rememberGone notes the markers of series with timestamps of their own.
func (w *walk) rememberGone() {
	l := w.l
	for set, last := range l.former {
		if last.ms < w.timeMs-formerMs || len(l.former) > mostFormer {
			delete(l.former, set)
		}
	}
	if l.timed == nil {
		return
	}
	for i, gone := range w.gone {
		if !gone || !l.timed[i] || !kinglet.IsStale(w.values[i]) {
			continue
		}
		last, _ := l.newestIn(int32(i))
		if l.former == nil {
			l.former = map[uint64]newest{}
		}
		l.former[l.sets[i]] = newest{max(last.ms, w.timeMs), kinglet.StaleBits}
	}
}

// newestIn is the newest sample of one column. Until a page has timestamps, all
// are as old as the last scrape, and their values are not known.
func (l *layout) newestIn(column int32) (last newest, ok bool) {
	switch {
	case int(column) >= l.columns() || l.newest == nil && l.hasEnded(column):
		return newest{}, false
	case l.newest == nil:
		return newest{l.sentMs, kinglet.AbsentBits}, true
	}
	return l.newest[column], true
}

// newestNow is what newestOf will need next time, by the numbers that columns
// have after this page; remap is nil if they are the same.
func (w *walk) newestNow(remap []int32) []newest {
	if w.held == nil {
		return nil
	}
	next := w.l.newest
	if remap != nil || next == nil {
		next = make([]newest, len(w.values))
	}
	for i := range w.values {
		to := int32(i)
		if remap != nil {
			if to = remap[i]; to < 0 {
				continue
			}
		}
		next[to] = w.newestWith(int32(i))
	}
	return next
}

// newestWith is newestOf with the samples of this page.
func (w *walk) newestWith(column int32) newest {
	last, ok := w.newestOf(column)
	add := func(c int32) {
		value := w.values[c]
		if at := w.timeOf(c); !kinglet.IsAbsent(value) && !kinglet.IsStale(value) && (!ok || at > last.ms) {
			last, ok = newest{at, math.Float64bits(value)}, true
		}
	}
	if !w.twins.any() {
		add(column)
		return last
	}
	for _, c := range w.twins.of(column) {
		add(c)
	}
	return last
}

// endedAt notes that series were ended with a marker of that time.
func (l *layout) endedAt(timeMs int64) {
	l.sentMs = timeMs
	for i := range l.newest {
		if !l.endsSilently(int32(i)) && timeMs > l.newest[i].ms {
			l.newest[i] = newest{timeMs, kinglet.StaleBits}
		}
	}
}
