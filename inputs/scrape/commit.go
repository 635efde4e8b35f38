package scrape

import (
	"cmp"
	"slices"

	"kinglet"
)

// Shapes are remade so that churn touches little. A series that vanishes gets
// its stale marker and stays where it is as a column without samples, until
// a quarter of its part has ended: then the part is remade without those. Series
// that a page brings for the first time make a part of their own, together with
// the parts that are no larger, so that a series is moved a few times in its
// life and the parts stay few. On pages where a series may have several samples
// or timestamps of its own, parts with series that vanish are remade at once.

// commit turns a page that was read to its end into rows and makes the layout
// that of this page.
func (w *walk) commit() []*kinglet.Row {
	l := w.l
	w.mapEnums()
	w.settleFamilies()
	w.sortTwins()
	w.sortExemplars()
	w.countRevived()
	vanished := l.columns() - l.endedCount - (w.filled - w.revived)
	quiet := len(w.fresh) == 0 && vanished == 0 && w.revived == 0 && w.newMetas == nil
	wasAlive := l.alive
	l.alive = true
	var rows []*kinglet.Row
	if l.orphans != nil {
		rows = l.markOrphans(w.timeMs, w.findSet)
	}
	if quiet {
		w.holdBack()
		rows = slices.Grow(rows, len(l.parts)+1) // up and the others of its own come with them
		for _, p := range l.parts {
			rows = w.appendRow(rows, p)
		}
		l.timed, l.newest = w.timedNow(nil), w.newestNow(nil)
		l.twins, l.sentMs = w.twins, w.timeMs
		w.keepLines(nil)
		if l.taken > 0 {
			l.settle()
		}
		return rows
	}
	r := w.need()
	r.remap = sized(r.remap, len(w.values))
	next := reshape{room: r, remap: r.remap, w: w, touched: make([]bool, len(l.parts))}
	next.dirty = w.endVanished(wasAlive, next.touched)
	w.markNewMetas(next.dirty)
	w.holdBack()
	w.rememberGone()
	for i := range l.families {
		if !l.families[i].final {
			l.families[i].meta = nil // shapes have others
		}
	}
	for i := range next.remap {
		next.remap[i] = -1
	}
	return next.run(rows)
}

// countRevived counts the columns that had ended and have a value again.
func (w *walk) countRevived() {
	if w.l.endedCount == 0 {
		return
	}
	for i, ended := range w.l.ended {
		if ended && !kinglet.IsAbsent(w.values[i]) {
			w.revived++
		}
	}
}

// simple reports whether no series of the page, or of the layout, has more than
// one sample, a timestamp of its own, or another kind than a number.
func (w *walk) simple() bool {
	return w.times == nil && w.l.timed == nil && w.l.newest == nil && !w.twins.any() && w.histograms == nil
}

// endVanished puts the stale marker where a series was and is no more. It says
// which parts are touched by that, and which are to be remade.
func (w *walk) endVanished(wasAlive bool, touched []bool) (dirty []bool) {
	l := w.l
	simple := w.simple()
	dirty = make([]bool, len(l.parts))
	r := w.need()
	r.gone = sized(r.gone, l.columns())
	clear(r.gone)
	w.gone = r.gone
	for n, p := range l.parts {
		gone := 0
		for i := p.from; i < p.to; i++ {
			if kinglet.IsAbsent(w.values[i]) {
				w.gone[i] = true
				gone++
				touched[n] = touched[n] || !l.hasEnded(i)
			}
		}
		if dirty[n] = gone > 0 && (!simple || gone*4 > p.len()); !touched[n] || !wasAlive {
			continue
		}
		if simple && !w.endsHistogram(p) { // nobody can go on elsewhere: no need to look at labels
			for i := p.from; i < p.to; i++ {
				if w.gone[i] && !l.endsSilently(i) {
					w.end(p, i)
				}
			}
			continue
		}
		for i, encoded := range p.shape.All() {
			column := p.from + int32(i)
			if w.gone[column] && !l.endsSilently(column) && !w.twinLives(column) && !w.otherKindLives(p.shape.Kind(i), encoded) {
				w.end(p, column)
			}
		}
	}
	return dirty
}

// endsHistogram reports whether a native histogram is among the columns of a
// part that are gone.
func (w *walk) endsHistogram(p part) bool {
	for i := range p.len() {
		if w.gone[p.from+int32(i)] && p.shape.Kind(i) == kinglet.KindHistogram {
			return true
		}
	}
	return false
}

// end puts the stale marker into a column.
func (w *walk) end(p part, column int32) {
	w.values[column] = kinglet.Stale()
	if w.histograms == nil && p.shape.Kind(int(column-p.from)) == kinglet.KindHistogram {
		w.histograms = make([]*kinglet.Histogram, len(w.values)) // nil and stale is a stale histogram
	}
}

// otherKindLives reports whether a series that was a number is a native
// histogram now, or the other way round: it goes on then.
func (w *walk) otherKindLives(kind kinglet.Kind, labels []byte) bool {
	other := kinglet.KindFloat
	if kind == kinglet.KindFloat {
		if w.histograms == nil {
			return false
		}
		other = kinglet.KindHistogram
	}
	c, ok := w.findSet(w.l.setHash(labels, other))
	return ok && !kinglet.IsAbsent(w.values[c]) && !kinglet.IsStale(w.values[c])
}

// appendRow adds the row of a part that stays as it is.
func (w *walk) appendRow(rows []*kinglet.Row, p part) []*kinglet.Row {
	if len(w.rows) == cap(w.rows) {
		w.rows = make([]kinglet.Row, 0, len(w.l.parts))
	}
	w.rows = append(w.rows, kinglet.Row{Shape: p.shape, TimestampMs: w.timeMs, Values: w.values[p.from:p.to:p.to]})
	row := &w.rows[len(w.rows)-1]
	if w.times != nil {
		row.TimesMs = timesOrNil(w.times[p.from:p.to:p.to])
	}
	if w.histograms != nil {
		row.Histograms = w.histograms[p.from:p.to:p.to]
	}
	if w.starts != nil {
		row.StartsMs = w.starts[p.from:p.to:p.to]
	}
	for _, e := range w.exemplarsOf(int(p.from), int(p.to)) {
		e.Column -= int(p.from)
		row.Exemplars = append(row.Exemplars, e)
	}
	return append(rows, row)
}

// sortExemplars brings exemplars into the order of their columns, which is
// seldom that of the page.
func (w *walk) sortExemplars() {
	slices.SortStableFunc(w.exemplars, func(a, b kinglet.Exemplar) int { return cmp.Compare(a.Column, b.Column) })
}

// exemplarsOf are those of the columns [from:to), in order, once they are sorted.
func (w *walk) exemplarsOf(from, to int) []kinglet.Exemplar {
	at := func(column int) int {
		i, _ := slices.BinarySearchFunc(w.exemplars, column, func(e kinglet.Exemplar, column int) int { return cmp.Compare(e.Column, column) })
		return i
	}
	return w.exemplars[at(from):at(to)]
}

// timesOrNil is nil if no column has a time of its own.
func timesOrNil(times []int64) []int64 {
	if slices.ContainsFunc(times, func(t int64) bool { return t != kinglet.NoTime }) {
		return times
	}
	return nil
}
