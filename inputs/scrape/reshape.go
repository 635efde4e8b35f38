package scrape

import (
	"cmp"
	"slices"

	"kinglet"
)

// reshape makes the next parts of a layout out of those it had and the fresh
// columns.
type reshape struct {
	w              *walk
	room           *room
	touched, dirty []bool  // by old part: it holds stale markers; it is to be remade
	remap          []int32 // old number -> new number; -1 if gone
	parts          []part
	sets           []uint64
	ended          []bool
	endedCount     int
	total          int32
}

func (r *reshape) run(rows []*kinglet.Row) []*kinglet.Row {
	w, l := r.w, r.w.l
	merged := r.toMerge()
	r.sets, r.ended = r.room.sets[:0], r.room.ended[:0]
	r.parts = make([]part, 0, len(l.parts)+1)
	columns, spare := r.room.merged[:0], r.room.spare
	if w.table == nil {
		columns = w.freshColumns(columns)
		slices.SortStableFunc(columns, byLabelsThenName) // twins stay in the order of their times
	}
	for n, p := range l.parts {
		switch {
		case merged[n]:
			if r.touched[n] {
				rows = w.appendMarkersOf(rows, p)
			}
			r.room.again = w.columnsOf(r.room.again[:0], p)
			columns, spare = mergeColumns(spare[:0], columns, r.room.again), columns
		case r.dirty[n]:
			rows = w.appendRow(rows, p) // with the markers; remade below
			r.room.again = w.columnsOf(r.room.again[:0], p)
			r.add(r.room.again, nil)
		default:
			rows = w.appendRow(rows, p)
			r.keep(p)
		}
	}
	for chunk := range slices.Chunk(columns, l.cfg.maxColumns()) {
		r.add(chunk, &rows)
	}
	if w.table != nil {
		var text []byte
		for order := w.inOrder(); len(order) > 0; {
			columns, text = w.spelled(columns, text, order[:min(len(order), l.cfg.maxColumns())])
			r.add(columns, &rows)
			order = order[len(columns):]
		}
	}
	timed, sent := w.timedNow(r.remap), w.newestNow(r.remap)
	r.patch()
	w.keepLines(r.remap)
	l.grew = len(w.fresh) + len(w.fresh)/4
	l.parts, l.sets, l.timed = r.parts, copied(l.sets, r.sets), timed
	l.ended, l.endedCount = copied(l.ended, r.ended), r.endedCount
	r.room.merged, r.room.spare, r.room.sets, r.room.ended = columns, spare, r.sets, r.ended
	l.newest, l.sentMs = sent, w.timeMs
	l.settle()
	return rows
}

// toMerge picks the parts to be merged with the fresh columns: one after the
// other, those that are no larger than what has come together by then. Fresh
// columns that are so many that their labels are in a table make parts by themselves.
// Twins stay where they are: they go out in the order of their columns.
func (r *reshape) toMerge() []bool {
	l := r.w.l
	merged := make([]bool, len(l.parts))
	if len(r.w.fresh) == 0 || r.w.table != nil {
		return merged
	}
	var small []int
	for n, p := range l.parts {
		if !r.dirty[n] && p.len() <= l.cfg.maxColumns()/2 && !r.w.twins.in(p.from, p.to) {
			small = append(small, n)
		}
	}
	slices.SortStableFunc(small, func(a, b int) int { return cmp.Compare(l.parts[a].len(), l.parts[b].len()) })
	size := len(r.w.fresh)
	for _, n := range small {
		if l.parts[n].len() > size {
			break
		}
		merged[n] = true
		size += l.parts[n].len()
	}
	return merged
}

// appendMarkersOf adds a row of a part that has only its stale markers.
func (w *walk) appendMarkersOf(rows []*kinglet.Row, p part) []*kinglet.Row {
	return appendMarkers(rows, p.shape, w.timeMs, func(i int) bool {
		column := p.from + int32(i)
		return w.gone[column] && kinglet.IsStale(w.values[column])
	})
}

// keep takes a part over as it is.
func (r *reshape) keep(p part) {
	for i := p.from; i < p.to; i++ {
		r.remap[i] = r.total + i - p.from
		if r.w.gone[i] {
			r.endedCount++
		}
	}
	r.sets = append(r.sets, r.w.l.sets[p.from:p.to]...)
	r.ended = append(r.ended, r.w.gone[p.from:p.to]...)
	r.parts = append(r.parts, part{p.shape, r.total, r.total + p.to - p.from})
	r.total += p.to - p.from
}

// add makes a part of columns, and its row if rows is not nil.
func (r *reshape) add(columns []column, rows *[]*kinglet.Row) {
	if len(columns) == 0 {
		return
	}
	w := r.w
	series := sized(r.room.series, len(columns))
	r.room.series = series
	for i, c := range columns {
		series[i] = c.EncodedSeries
		r.remap[c.old] = r.total + int32(i)
		r.sets = append(r.sets, w.setOf(c.old))
	}
	for range columns {
		r.ended = append(r.ended, false)
	}
	p := part{kinglet.NewShapeFromEncoded(&r.room.labels, series), r.total, r.total + int32(len(columns))}
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

// columnsOf appends the columns of a part that are not gone.
func (w *walk) columnsOf(columns []column, p part) []column {
	r := w.need()
	for i, encoded := range p.shape.Where(&r.labels, func(i int) bool { return !w.gone[p.from+int32(i)] }) {
		columns = append(columns, column{
			kinglet.EncodedSeries{Labels: r.arena.keep(encoded), Kind: p.shape.Kind(i), Meta: w.metaNow(p.shape.Meta(i)), Names: p.shape.Names()}, p.from + int32(i),
		})
	}
	return columns
}

// freshColumns appends those of the series that the page brought.
func (w *walk) freshColumns(columns []column) []column {
	for i := range w.fresh {
		columns = append(columns, w.freshColumn(i))
	}
	return columns
}

func (w *walk) freshColumn(i int) column {
	c := column{w.fresh[i].EncodedSeries, int32(w.l.columns() + i)}
	c.Meta = w.metaNow(c.Meta)
	return c
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
