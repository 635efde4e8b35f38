package scrape

import (
	"cmp"
	"slices"

	"kinglet"
)

// Shapes are remade so that churn touches little. Series that a page brings
// for the first time make a part of their own; when smallParts of those have
// gathered they are merged. A part from which series vanish carries their
// stale markers in this row and is remade without them for the next.
const smallParts = 4

// commit turns a page that was read to its end into rows and makes the layout
// that of this page.
func (w *walk) commit() []*kinglet.Row {
	l := w.l
	w.mapEnums()
	w.settleFamilies()
	w.sortTwins()
	w.sortExemplars()
	quiet := len(w.fresh) == 0 && w.filled == l.columns() && w.newMetas == nil
	wasAlive := l.alive
	l.alive = true
	var rows []*kinglet.Row
	if l.orphans != nil {
		rows = l.markOrphans(w.timeMs, w.setIndex())
	}
	if quiet {
		w.holdBack()
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
	dirty := w.endVanished(wasAlive)
	w.markNewMetas(dirty)
	w.holdBack()
	for i := range l.families {
		l.families[i].meta = nil // shapes have them now
	}
	next := reshape{w: w, remap: make([]int32, len(w.values))}
	for i := range next.remap {
		next.remap[i] = -1
	}
	return next.run(rows, dirty)
}

// endVanished puts the stale marker where a series was and is no more, and
// says which parts hold such a column.
func (w *walk) endVanished(wasAlive bool) []bool {
	l := w.l
	dirty := make([]bool, len(l.parts))
	w.gone = make([]bool, l.columns())
	for n, p := range l.parts {
		for i := p.from; i < p.to; i++ {
			if kinglet.IsAbsent(w.values[i]) {
				dirty[n], w.gone[i] = true, true
			}
		}
		if !dirty[n] || !wasAlive {
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
	c, ok := w.setIndex().find(w.l.setHash(labels, other))
	return ok && !kinglet.IsAbsent(w.values[c]) && !kinglet.IsStale(w.values[c])
}

// appendRow adds the row of a part that stays as it is.
func (w *walk) appendRow(rows []*kinglet.Row, p part) []*kinglet.Row {
	row := &kinglet.Row{Shape: p.shape, TimestampMs: w.timeMs, Values: w.values[p.from:p.to:p.to]}
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

// reshape makes the next parts of a layout out of those it had and the fresh
// columns.
type reshape struct {
	w     *walk
	remap []int32 // old number -> new number; -1 if gone
	parts []part
	sets  []uint64
	total int32
}

func (r *reshape) run(rows []*kinglet.Row, dirty []bool) []*kinglet.Row {
	w, l := r.w, r.w.l
	merged := r.toMerge(dirty)
	columns := w.freshColumns()
	for n, p := range l.parts {
		switch {
		case merged[n]:
			columns = append(columns, w.columnsOf(p)...)
		case dirty[n]:
			rows = w.appendRow(rows, p) // with the markers; remade below
			r.add(w.columnsOf(p), nil)
		default:
			rows = w.appendRow(rows, p)
			r.keep(p)
		}
	}
	slices.SortStableFunc(columns, byLabelsThenName) // twins stay in the order of their times
	for chunk := range slices.Chunk(columns, l.cfg.maxColumns()) {
		r.add(chunk, &rows)
	}
	timed, sent := w.timedNow(r.remap), w.newestNow(r.remap)
	r.patch()
	w.keepLines(r.remap)
	l.parts, l.sets, l.timed = r.parts, r.sets, timed
	l.newest, l.sentMs = sent, w.timeMs
	l.settle()
	return rows
}

// toMerge picks the small parts to be merged with the fresh columns: none
// until enough of them have gathered.
func (r *reshape) toMerge(dirty []bool) []bool {
	l := r.w.l
	merged := make([]bool, len(l.parts))
	if len(r.w.fresh) == 0 {
		return merged
	}
	small := 0
	for n, p := range l.parts {
		if merged[n] = !dirty[n] && p.len() <= l.cfg.maxColumns()/4; merged[n] {
			small++
		}
	}
	if small < smallParts {
		clear(merged)
	}
	return merged
}

// keep takes a part over as it is.
func (r *reshape) keep(p part) {
	for i := p.from; i < p.to; i++ {
		r.remap[i] = r.total + i - p.from
	}
	r.sets = append(r.sets, r.w.l.sets[p.from:p.to]...)
	r.parts = append(r.parts, part{p.shape, r.total, r.total + p.to - p.from})
	r.total += p.to - p.from
}

// add makes a part of columns, and its row if rows is not nil.
func (r *reshape) add(columns []column, rows *[]*kinglet.Row) {
	if len(columns) == 0 {
		return
	}
	w := r.w
	series := make([]kinglet.EncodedSeries, len(columns))
	for i, c := range columns {
		series[i] = c.EncodedSeries
		r.remap[c.old] = r.total + int32(i)
		r.sets = append(r.sets, w.setOf(c.old))
	}
	p := part{kinglet.NewShapeFromEncoded(series), r.total, r.total + int32(len(columns))}
	w.shapesMade++
	r.parts = append(r.parts, p)
	r.total = p.to
	if rows != nil {
		*rows = append(*rows, w.gather(p.shape, columns))
	}
}

// gather is the row of a new shape.
func (w *walk) gather(shape *kinglet.Shape, columns []column) *kinglet.Row {
	row := &kinglet.Row{Shape: shape, TimestampMs: w.timeMs, Values: make([]float64, len(columns))}
	if w.times != nil {
		row.TimesMs = make([]int64, len(columns))
	}
	if w.histograms != nil {
		row.Histograms = make([]*kinglet.Histogram, len(columns))
	}
	if w.starts != nil {
		row.StartsMs = make([]int64, len(columns))
	}
	for i, c := range columns {
		row.Values[i] = w.values[c.old]
		if w.times != nil {
			row.TimesMs[i] = w.times[c.old]
		}
		if w.histograms != nil {
			row.Histograms[i] = w.histograms[c.old]
		}
		if w.starts != nil {
			row.StartsMs[i] = w.starts[c.old]
		}
		for _, e := range w.exemplarsOf(int(c.old), int(c.old)+1) {
			e.Column = i
			row.Exemplars = append(row.Exemplars, e)
		}
	}
	if row.TimesMs != nil {
		row.TimesMs = timesOrNil(row.TimesMs)
	}
	return row
}

// patch renumbers what the layout keeps by column.
func (r *reshape) patch() {
	w, l := r.w, r.w.l
	enums := make([]enumColumn, 0, len(l.enums))
	for _, e := range l.enums {
		if e.column = r.remap[e.column]; e.column >= 0 {
			enums = append(enums, e)
		}
	}
	for i, f := range w.fresh {
		if f.values != nil {
			enums = append(enums, enumColumn{r.remap[l.columns()+i], f.values})
		}
	}
	l.enums = enums
	l.twins = w.twins.renumber(r.remap)
}

// columnsOf lists the columns of a part that are not gone.
func (w *walk) columnsOf(p part) []column {
	columns := make([]column, 0, p.len())
	for i, encoded := range p.shape.All() {
		old := p.from + int32(i)
		if w.gone[old] {
			continue
		}
		columns = append(columns, column{
			kinglet.EncodedSeries{Labels: w.arena.keep(encoded), Kind: p.shape.Kind(i), Meta: w.metaNow(p.shape.Meta(i))}, old,
		})
	}
	return columns
}

func (w *walk) freshColumns() []column {
	columns := make([]column, len(w.fresh))
	for i, f := range w.fresh {
		columns[i] = column{f.EncodedSeries, int32(w.l.columns() + i)}
		columns[i].Meta = w.metaNow(f.Meta)
	}
	return columns
}

func (w *walk) setOf(old int32) uint64 {
	if n := w.l.columns(); int(old) >= n {
		return w.fresh[int(old)-n].set
	}
	return w.l.sets[old]
}

func nameOf(labels []kinglet.Label) string {
	if i := indexOf(labels, kinglet.MetricNameLabel); i >= 0 {
		return labels[i].Value
	}
	return ""
}
