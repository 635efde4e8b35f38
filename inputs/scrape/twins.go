package scrape

import (
	"maps"
	"slices"

	"kinglet"
)

// A page may hold a series several times, with different timestamps (RW-124).
// Each of these samples has a column: the first, and its twins.

// again takes a sample of a series that has one already. Without a timestamp
// of its own it is a duplicate, which is dropped and counted.
func (w *walk) again(column int32, value float64, timeMs int64) int32 {
	w.ensureTimes()
	if w.taken(column, timeMs) {
		w.duplicates++
		return column
	}
	for c := range w.twinsOf(column) {
		if kinglet.IsAbsent(w.values[c]) {
			w.store(c, value, timeMs)
			return c
		}
	}
	first := w.firstOf(column)
	series, set := w.seriesOf(first)
	twin := w.addFresh(freshSeries{Series: series, set: set})
	if w.twins = maps.Clone(w.twins); w.twins == nil { // the layout's own stays as it is until commit
		w.twins = map[int32]int32{}
	}
	w.twins[twin] = first
	w.store(twin, value, timeMs)
	return twin
}

// taken reports whether the series of a column has a sample of that time.
func (w *walk) taken(column int32, timeMs int64) bool {
	for c := range w.twinsOf(column) {
		if !kinglet.IsAbsent(w.values[c]) && w.timeOf(w.times[c]) == w.timeOf(timeMs) {
			return true
		}
	}
	return false
}

func (w *walk) timeOf(timeMs int64) int64 {
	if timeMs == kinglet.NoTime {
		return w.timeMs
	}
	return timeMs
}

// seriesOf is the series of a column with final labels, and their hash.
func (w *walk) seriesOf(column int32) (kinglet.Series, uint64) {
	if n := w.l.columns(); int(column) >= n {
		f := w.fresh[int(column)-n]
		return f.Series, f.set
	}
	p := w.l.partOf(column)
	i := int(column - p.from)
	return kinglet.Series{Labels: p.shape.AppendLabels(nil, i), Kind: p.shape.Kind(i), Meta: p.shape.Meta(i)}, w.l.sets[column]
}

// dropTwins takes back samples that came to stand in a twin, because their
// line did so last time, though their timestamp is that of another.
func (w *walk) dropTwins() {
	if len(w.twins) == 0 {
		return
	}
	w.ensureTimes()
	for _, twin := range slices.Sorted(maps.Keys(w.twins)) {
		if kinglet.IsAbsent(w.values[twin]) {
			continue
		}
		for c := range w.twinsOf(twin) {
			if c < twin && !kinglet.IsAbsent(w.values[c]) && w.timeOf(w.times[c]) == w.timeOf(w.times[twin]) {
				w.values[twin] = kinglet.Absent()
				w.filled--
				w.duplicates++
				break
			}
		}
	}
}

// twinLives reports whether a column's series has a value in another column.
func (w *walk) twinLives(column int32) bool {
	if len(w.twins) == 0 {
		return false
	}
	for c := range w.twinsOf(column) {
		if c != column && !kinglet.IsAbsent(w.values[c]) && !kinglet.IsStale(w.values[c]) {
			return true
		}
	}
	return false
}

func (w *walk) firstOf(column int32) int32 {
	if first, ok := w.twins[column]; ok {
		return first
	}
	return column
}

// twinsOf yields every column of a column's series, the first one first.
func (w *walk) twinsOf(column int32) func(func(int32) bool) {
	first := w.firstOf(column)
	return func(yield func(int32) bool) {
		if !yield(first) || len(w.twins) == 0 {
			return
		}
		for _, twin := range slices.Sorted(maps.Keys(w.twins)) {
			if w.twins[twin] == first && !yield(twin) {
				return
			}
		}
	}
}
