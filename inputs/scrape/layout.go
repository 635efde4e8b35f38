package scrape

import (
	"hash/maphash"
	"slices"

	"kinglet"
	"kinglet/inputs/promtext"
)

// layout is what a target's last good page looked like: which series stands on
// which line, and which column of which shape it is. All columns of a target
// are numbered through; a part is a run of them that makes one shape. A layout
// is used by one goroutine at a time.
//
// Per series it keeps 16 bytes for the line and 8 for the column, and no text.
type layout struct {
	cfg  PageConfig
	seed maphash.Seed

	lines      []line
	families   []familyInfo // that lines refer to
	parts      []part
	sets       []uint64          // by column: hash of the final label set and kind
	former     map[uint64]newest // by set: the markers of series with timestamps of their own
	ended      []bool            // by column: its series has vanished, and been ended
	timed      []bool            // by column: the last sample had its own timestamp; nil = none had
	newest     []newest          // by column: the last sample sent; nil = no page had timestamps
	sentMs     int64             // of the last scrape that sent its series, or their markers
	enums      []enumColumn
	twins      twins
	endedCount int
	own        []uint64 // label sets of up and scrape_*, which no page may take

	// wholeBytes is the size of the last page that was read as a whole: the next
	// one has about the same.
	wholeBytes int

	// alive says that the last scrape was good, so that the columns have a
	// value that a failure must end.
	alive bool

	plainBytes  int     // see the constant
	grew        int     // about as many series as the last page brought
	rooms       *rooms  // nil = none to share
	budget      *budget // nil = none
	kept, taken int64   // bytes charged for what the layout is, and for the page that is being read

	// orphans are shapes of a former configuration of this target whose
	// series get the stale marker unless the next page brings them again.
	orphans []orphan
}

// line is a sample, or a comment about a family, on a page. Of a sample the
// text up to the end of the series is remembered, of a comment the whole.
type line struct {
	hash uint64
	size uint32
	ref  int32 // a column, or one of the values below
}

// What line.ref says beside a column.
const (
	refDropped int32 = -1  // a series that filters or rules left out
	refOwn     int32 = -2  // a series that kinglet itself sends, such as up
	refOver    int32 = -3  // a new series beyond the sample limit, which is only counted and never kept
	refFamily  int32 = -16 // refFamily-i: a comment about families[i]
)

// part is a run of columns, [from:to), that makes one shape.
type part struct {
	shape    *kinglet.Shape
	from, to int32
}

func (p part) len() int { return int(p.to - p.from) }

// familyInfo is what comments said of a metric family so far.
type familyInfo struct {
	name string // as the page spells it
	kind kinglet.MetricType
	help string        // as the page spells it
	meta *kinglet.Meta // made for the first series of a page

	// final says that meta is what the shapes have, and lasts. It is not where
	// rules rename the family.
	final bool

	comment promtext.Kind // of the line: Help or Type
}

type enumColumn struct {
	column int32
	values map[float64]float64
}

// orphan is a shape whose series the target may not have any more.
type orphan struct {
	shape *kinglet.Shape
	sets  []uint64
	timed []bool
	ended []bool
}

// newLayout is the layout of a target that was never scraped.
func newLayout(cfg PageConfig, own []labeled) *layout {
	l := &layout{cfg: cfg, seed: maphash.MakeSeed(), plainBytes: plainBytes}
	for _, series := range own {
		if series.labels != nil {
			l.own = append(l.own, l.setHash(kinglet.AppendEncodedLabels(nil, series.labels), kinglet.KindFloat))
		}
	}
	return l
}

// adopt makes the series of an older layout of the same target orphans.
func (l *layout) adopt(old *layout) {
	l.orphans = append(l.orphans, old.orphans...)
	if old.alive {
		for _, p := range old.parts {
			o := orphan{shape: p.shape, sets: l.setsOf(p.shape), ended: old.ended[p.from:p.to]}
			if old.timed != nil {
				o.timed = old.timed[p.from:p.to]
			}
			l.orphans = append(l.orphans, o)
		}
	}
}

// adoptOwn makes the target's own series of before orphans. Those that are sent
// on are not.
func (l *layout) adoptOwn(old ownShape) {
	l.orphans = append(l.orphans, orphan{shape: old.shape, sets: l.setsOf(old.shape)})
}

// setsOf are the hashes of a shape's columns.
func (l *layout) setsOf(shape *kinglet.Shape) []uint64 {
	sets := make([]uint64, 0, shape.Len())
	for i, encoded := range shape.All() {
		sets = append(sets, l.setHash(encoded, shape.Kind(i)))
	}
	return sets
}

func (l *layout) columns() int { return len(l.sets) }

// setHash tells label sets apart, which come encoded.
func (l *layout) setHash(labels []byte, kind kinglet.Kind) uint64 {
	// Spread, so that the kinds of one set do not lie side by side in an index.
	return maphash.Bytes(l.seed, labels) + uint64(kind)*0x9e3779b97f4a7c15
}

// partOf is the part that holds a column.
func (l *layout) partOf(column int32) part {
	i, _ := slices.BinarySearchFunc(l.parts, column, func(p part, column int32) int {
		if p.to <= column {
			return -1
		}
		return 1
	})
	return l.parts[i]
}

// fail makes the rows of a scrape that failed: the stale marker for every
// series of the last good one, once (RW-46, RW-47).
func (l *layout) fail(timeMs int64) []*kinglet.Row {
	rows := l.markOrphans(timeMs, nil)
	if !l.alive {
		return rows
	}
	l.alive = false
	l.endedAt(timeMs)
	for _, p := range l.parts {
		rows = appendMarkers(rows, p.shape, timeMs, func(i int) bool { return !l.endsSilently(p.from + int32(i)) })
	}
	return rows
}

// appendMarkers adds a row with the stale marker in the columns that end, if
// there are any.
func appendMarkers(rows []*kinglet.Row, shape *kinglet.Shape, timeMs int64, ends func(i int) bool) []*kinglet.Row {
	row := &kinglet.Row{Shape: shape, TimestampMs: timeMs, Values: make([]float64, shape.Len())}
	ending, histograms := false, false
	for i := range row.Values {
		row.Values[i] = kinglet.Absent()
		if ends(i) {
			row.Values[i] = kinglet.Stale()
			ending = true
		}
		histograms = histograms || shape.Kind(i) == kinglet.KindHistogram
	}
	if !ending {
		return rows
	}
	if histograms {
		row.Histograms = make([]*kinglet.Histogram, shape.Len()) // nil and stale is a stale histogram
	}
	return append(rows, row)
}

// endsSilently reports whether a column's end gets no marker, because it was
// ended before or because its samples had timestamps of their own (RW-51).
func (l *layout) endsSilently(column int32) bool {
	return l.hasEnded(column) || l.timed != nil && l.timed[column] && !l.cfg.TrackTimestampsStaleness
}

// hasEnded reports whether a column's series has vanished in an earlier scrape.
func (l *layout) hasEnded(column int32) bool { return l.endedCount > 0 && l.ended[column] }

// markOrphans ends the series of former configurations that find does not find,
// which is nil if there are no series now.
func (l *layout) markOrphans(timeMs int64, find func(set uint64) (int32, bool)) []*kinglet.Row {
	var rows []*kinglet.Row
	for _, o := range l.orphans {
		rows = appendMarkers(rows, o.shape, timeMs, func(i int) bool {
			if (o.ended != nil && o.ended[i]) || (o.timed != nil && o.timed[i] && !l.cfg.TrackTimestampsStaleness) || slices.Contains(l.own, o.sets[i]) {
				return false
			}
			if find == nil {
				return true
			}
			_, still := find(o.sets[i])
			return !still
		})
	}
	l.orphans = nil
	return rows
}

// fill sets all values to absent.
func fill(values []float64) {
	for i := range values {
		values[i] = kinglet.Absent()
	}
}
