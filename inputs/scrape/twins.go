package scrape

import (
	"cmp"
	"slices"

	"kinglet"
)

// A page may hold a series several times, with different timestamps (RW-124).
// Each of these samples has a column: the first, and its twins.

// twins knows the columns that stand for one series. The zero value is empty.
type twins struct {
	first map[int32]int32   // twin -> first column
	group map[int32][]int32 // first column -> all, itself in front
}

// mostTwins bounds the columns of one series; further samples are dropped as
// duplicates. No page in earnest has more than a few.
const mostTwins = 64

func (t *twins) any() bool { return len(t.first) > 0 }

func (t *twins) add(twin, first int32) {
	if t.first == nil {
		t.first, t.group = map[int32]int32{}, map[int32][]int32{}
	}
	if len(t.group[first]) == 0 {
		t.group[first] = []int32{first}
	}
	t.first[twin] = first
	t.group[first] = append(t.group[first], twin)
}

// of lists every column of a column's series.
func (t *twins) of(column int32) []int32 {
	if first, ok := t.first[column]; ok {
		return t.group[first]
	}
	if group := t.group[column]; group != nil {
		return group
	}
	return []int32{column}
}

// in reports whether a series with twins stands in one of the columns [from:to).
func (t *twins) in(from, to int32) bool {
	for _, group := range t.group {
		if slices.ContainsFunc(group, func(c int32) bool { return c >= from && c < to }) {
			return true
		}
	}
	return false
}

// clone is a copy of a layout's twins, for a walk to add to.
func (t *twins) clone() twins {
	var c twins
	for _, group := range t.group {
		for _, twin := range group[1:] {
			c.add(twin, group[0])
		}
	}
	return c
}

// renumber gives every column its new number; -1 is one that is gone. If the
// first of a group is gone, the next takes its place, as it does for lines of
// this page that repeat one.
func (t *twins) renumber(remap []int32) twins {
	var next twins
	for _, group := range t.group {
		first := int32(-1)
		for _, old := range group {
			switch column := remap[old]; {
			case column < 0:
			case first < 0:
				first = column
			default:
				next.add(column, first)
			}
		}
		for _, old := range group {
			if remap[old] < 0 {
				remap[old] = first
			}
		}
	}
	return next
}

// place says which column takes a sample of a series that may have several,
// and false if it is a duplicate of one that has come already.
func (w *walk) place(column int32, timeMs int64) (int32, bool) {
	group := w.twins.of(column)
	free := int32(-1)
	for _, c := range group {
		switch {
		case kinglet.IsAbsent(w.values[c]):
			if free < 0 || c == column {
				free = c
			}
		case w.timeOf(c) == w.resolve(timeMs):
			return column, false
		}
	}
	if free >= 0 {
		return free, true
	}
	if len(group) >= mostTwins {
		return column, false
	}
	next, err := w.sameSeries(group[0])
	if err != nil {
		return column, false
	}
	twin := w.addFresh(next)
	w.twins.add(twin, group[0])
	return twin, true
}

// timeOf is the timestamp of the sample in a column.
func (w *walk) timeOf(column int32) int64 {
	if w.times == nil {
		return w.timeMs
	}
	return w.resolve(w.times[column])
}

func (w *walk) resolve(timeMs int64) int64 {
	if timeMs == kinglet.NoTime {
		return w.timeMs
	}
	return timeMs
}

// sameSeries is one more column for the series of a column. An error says that it
// would take too much memory.
func (w *walk) sameSeries(column int32) (freshSeries, error) {
	if n := w.l.columns(); int(column) >= n {
		f := w.fresh[int(column)-n]
		size := len(f.Labels)
		if f.Labels == nil {
			size = w.table.size(f.tabled)
		}
		return f, w.l.chargeSeries(size)
	}
	p := w.l.partOf(column)
	i := int(column - p.from)
	f := freshSeries{
		EncodedSeries: kinglet.EncodedSeries{Kind: p.shape.Kind(i), Meta: p.shape.Meta(i)}, set: w.l.sets[column], values: w.l.enumFor(column),
	}
	labels := p.shape.EncodedLabels(i)
	if err := w.l.chargeSeries(len(labels)); err != nil {
		return f, err
	}
	err := w.keepLabels(&f, labels)
	return f, err
}

// enumFor is the value map of a column of the layout, or nil.
func (l *layout) enumFor(column int32) map[float64]float64 {
	i := slices.IndexFunc(l.enums, func(e enumColumn) bool { return e.column == column })
	if i < 0 {
		return nil
	}
	return l.enums[i].values
}

// twinLives reports whether a column's series has a value in another column.
func (w *walk) twinLives(column int32) bool {
	return slices.ContainsFunc(w.twins.of(column), func(c int32) bool {
		return c != column && !kinglet.IsAbsent(w.values[c]) && !kinglet.IsStale(w.values[c])
	})
}

// sortTwins puts the samples of a series that has several into the order of
// their time, whatever the order of the page: receivers want the oldest first
// (RW-40), and columns go out in the order of their numbers.
func (w *walk) sortTwins() {
	for _, group := range w.twins.group {
		columns := make([]int32, 0, len(group))
		for _, c := range group {
			if !kinglet.IsAbsent(w.values[c]) {
				columns = append(columns, c)
			}
		}
		slices.Sort(columns)
		byTime := func(a, b int32) int { return cmp.Compare(w.timeOf(a), w.timeOf(b)) }
		if !slices.IsSortedFunc(columns, byTime) {
			w.permute(columns, slices.SortedStableFunc(slices.Values(columns), byTime))
		}
	}
}

// permute moves the samples in the columns from to the columns to.
func (w *walk) permute(to, from []int32) {
	reorder(w.values, to, from)
	reorder(w.times, to, from)
	reorder(w.histograms, to, from)
	reorder(w.starts, to, from)
	for i := range w.exemplars {
		if n := slices.Index(from, int32(w.exemplars[i].Column)); n >= 0 {
			w.exemplars[i].Column = int(to[n])
		}
	}
}

// reorder puts what all holds at each place of from at the place of to.
func reorder[T any](all []T, to, from []int32) {
	if all == nil {
		return
	}
	taken := make([]T, len(from))
	for i, c := range from {
		taken[i] = all[c]
	}
	for i, c := range to {
		all[c] = taken[i]
	}
}
