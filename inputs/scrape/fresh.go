package scrape

import (
	"bytes"
	"cmp"
	"slices"

	"kinglet"
)

// A first scrape, and each in which a page is another, finds series that the
// layout does not have. Their labels are encoded at once, into a few pieces of
// memory, because as strings they would be the largest part of the program for
// as long as the page is read.

// freshSeries is a series that the layout does not have. Its labels lie in the
// room's arena, or if they are nil, in the walk's table.
type freshSeries struct {
	kinglet.EncodedSeries
	tabled uint32 // place of its labels in the table
	set    uint64
	values map[float64]float64
}

// plainBytes of labels of a first page's series lie in the arena; of a page that has
// more all go into a table, which takes longer where they have little in common. Series
// of a later page, where they are not merged with others if there is a table, may
// have more.
const (
	plainBytes = 256 << 10
	plainLater = 16 // times plainBytes: some 10,000 series at once
)

// manyFields is how many labels of a series are paid for by what each series is
// charged with, and fieldBytes what the table has for a label beside its text.
const (
	manyFields = 16
	fieldBytes = 32
)

// keepLabels gives f those labels, which stay the caller's.
func (w *walk) keepLabels(f *freshSeries, encoded []byte) error {
	if w.table == nil {
		limit := w.l.plainBytes
		if len(w.l.parts) > 0 {
			limit *= plainLater
		}
		if w.plain += len(encoded); w.plain <= limit {
			f.Labels = w.need().arena.keep(encoded)
			return nil
		}
		w.table = newLabelTable(w.l.seed)
		for i := range w.fresh {
			w.fresh[i].tabled, _ = w.table.add(w.fresh[i].Labels)
			w.fresh[i].Labels = nil
		}
		w.need().arena = arena{}
	}
	set, fields := w.table.add(encoded)
	f.tabled = set
	return w.l.charge(max(0, fields-manyFields) * fieldBytes)
}

// inOrder is the order of the fresh series by their labels, which are in the table.
// Twins stay in the order of their times.
func (w *walk) inOrder() []int32 {
	order := make([]int32, len(w.fresh))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortStableFunc(order, func(a, b int32) int { return w.table.compare(w.fresh[a].tabled, w.fresh[b].tabled) })
	return order
}

// spelledBytes of labels are spelled at once, or those of one series.
const spelledBytes = 2 << 20

// spelled makes columns of the first of those fresh series, whose labels are in the
// table. Both slices are memory that is used again; columns are valid until then.
func (w *walk) spelled(columns []column, text []byte, fresh []int32) ([]column, []byte) {
	size, n := 0, 0
	for ; n < len(fresh) && (n == 0 || size < spelledBytes); n++ {
		size += w.table.size(w.fresh[fresh[n]].tabled)
	}
	columns, text = columns[:0], slices.Grow(text[:0], size)
	for _, i := range fresh[:n] {
		from := len(text)
		text = w.table.appendSet(text, w.fresh[i].tabled)
		c := w.freshColumn(int(i))
		c.Labels = text[from:]
		columns = append(columns, c)
	}
	return columns, text
}

// arena keeps byte strings until all of them are let go.
type arena struct{ piece []byte }

// Pieces are small while a page has only a few fresh series.
const (
	firstPiece = 1 << 10
	largePiece = 64 << 10
)

// keep is a copy of b.
func (a *arena) keep(b []byte) []byte {
	if len(b) > cap(a.piece)-len(a.piece) {
		size := min(max(2*cap(a.piece), firstPiece), largePiece)
		a.piece = make([]byte, 0, max(size, len(b)))
	}
	from := len(a.piece)
	a.piece = append(a.piece, b...)
	return a.piece[from:len(a.piece):len(a.piece)]
}

// column is one series on its way into a new shape.
type column struct {
	kinglet.EncodedSeries
	old int32 // its number before: of the layout, or after those of it, of walk.fresh
}

// byLabelsThenName orders series by their labels without the metric name, so
// that equal label sets stand next to each other and compress well. The labels
// are compared as they are encoded, short ones first.
func byLabelsThenName(a, b column) int {
	aName, aRest := cutMetricName(a.Labels)
	bName, bRest := cutMetricName(b.Labels)
	return cmp.Or(bytes.Compare(aRest, bRest), bytes.Compare(aName, bName))
}

// mergeColumns appends both, each of which is in that order, to dst in that order.
// Of equal ones those of the first come first.
func mergeColumns(dst, first, second []column) []column {
	for len(first) > 0 && len(second) > 0 {
		if byLabelsThenName(first[0], second[0]) <= 0 {
			dst, first = append(dst, first[0]), first[1:]
		} else {
			dst, second = append(dst, second[0]), second[1:]
		}
	}
	return append(append(dst, first...), second...)
}

// metricNameField is what an encoded label that is the metric name begins with,
// behind its tag and length.
const metricNameField = "\x0a\x08" + kinglet.MetricNameLabel

// cutMetricName takes the metric name off the front of encoded labels, where it
// is unless a label's name begins with a capital letter.
func cutMetricName(labels []byte) (name, rest []byte) {
	const tagAndLength = 2 // the length of a short label
	if len(labels) < tagAndLength+len(metricNameField) {
		return nil, labels
	}
	if labels[1] >= 0x80 {
		return longMetricName(labels)
	}
	if string(labels[tagAndLength:tagAndLength+len(metricNameField)]) != metricNameField {
		return nil, labels
	}
	end := tagAndLength + int(labels[1])
	return labels[:end], labels[end:]
}

func longMetricName(labels []byte) (name, rest []byte) {
	first, _, rest := kinglet.CutLabel(labels)
	if string(first) != kinglet.MetricNameLabel {
		return nil, labels
	}
	return labels[:len(labels)-len(rest)], rest
}
