package kinglet

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"
)

// Kind says what the samples of a series are.
type Kind uint8

const (
	KindFloat     Kind = iota // float64 values
	KindHistogram             // native histograms
)

// Series is one column of a shape to be made. Labels are final: sorted by
// name bytewise, no name twice, no empty name or value (RW-26 to RW-29).
type Series struct {
	Labels []Label
	Kind   Kind
	Meta   *Meta // what the page says of the family, shared by its series; nil if nothing
}

// Meta is what a page says about a metric family.
type Meta struct {
	Family     string // name of the family, not of its _bucket or _sum series
	Type       MetricType
	Help, Unit string
}

// MetricType is a family's type, numbered as remote write numbers it (RW-15, RW-23).
type MetricType uint8

const (
	TypeUnknown MetricType = iota
	TypeCounter
	TypeGauge
	TypeHistogram
	TypeGaugeHistogram
	TypeSummary
	TypeInfo
	TypeStateset
)

// Shape is an immutable list of series, the columns of a table whose rows are
// scrapes. Inputs make a new one only when series come or go; the writer keeps
// what it derived from a shape (its encoded form) attached to it. The same
// series may stand in two columns only if their samples have explicit, unequal
// timestamps.
//
// A label set is given out in the encoding of the `labels` fields of a
// remote-write 1.0 TimeSeries, so that the writer copies it as it is. In memory
// a column keeps only what differs from the column before it, and that is
// compressed where there are many: label sets are read when a shape is new, and when it ends, while a
// node's fifty thousand of them, 250 bytes each, would else be the largest part
// of the program.
type Shape struct {
	labels   []byte   // blocks of label sets, see packer
	ends     []uint32 // of the blocks in labels, but for the last, which ends where labels does
	columns  int
	kinds    []Kind   // nil if all are floats
	metas    []*Meta  // those of the columns, each once: fifty thousand pointers would be work for the collector
	metaOf   []uint32 // by column: the place in metas and 1, or 0; nil if no series has one
	legacy   bool     // see LegacyNames
	attached atomic.Value
}

// NewShape makes a shape of series, in that order. It copies what it needs.
// It panics on labels that are not final, which is a bug of the caller.
func NewShape(series []Series) *Shape {
	p := newPacker(new(LabelRoom), len(series))
	var now []byte
	for i := range series {
		checkFinal(series[i].Labels)
		now = AppendEncodedLabels(now[:0], series[i].Labels)
		p.shape.legacy = p.shape.legacy && LegacyNames(now)
		p.add(now, series[i].Kind, series[i].Meta)
	}
	return p.shape
}

// Len is the number of columns.
func (s *Shape) Len() int { return s.columns }

// Names is NamesLegacy if LegacyNames holds for all columns.
func (s *Shape) Names() Names {
	if s.legacy {
		return NamesLegacy
	}
	return NamesUnknown
}

// Kind says what column i holds.
func (s *Shape) Kind(i int) Kind {
	if s.kinds == nil {
		return KindFloat
	}
	return s.kinds[i]
}

// Meta is what is known of column i's family, or nil.
func (s *Shape) Meta(i int) *Meta {
	if s.metaOf == nil || s.metaOf[i] == 0 {
		return nil
	}
	return s.metas[s.metaOf[i]-1]
}

// Metas is what is known of the families of all columns, each once. It is read
// only.
func (s *Shape) Metas() []*Meta { return s.metas }

// AppendLabels appends the label set of column i to dst.
func (s *Shape) AppendLabels(dst []Label, i int) []Label {
	return AppendDecodedLabels(dst, s.EncodedLabels(i))
}

// Attach keeps v with the shape for as long as the shape lives. All values
// attached to a shape must have one concrete type; the writer is its only user.
func (s *Shape) Attach(v any) { s.attached.Store(v) }

// Attached is what was attached last, or nil.
func (s *Shape) Attached() any { return s.attached.Load() }

// checkFinal panics if labels are not sorted, unique and non-empty.
func checkFinal(labels []Label) {
	for i, l := range labels {
		if l.Name == "" || l.Value == "" {
			panic(fmt.Sprintf("kinglet: label %q has an empty name or value", l.Name))
		}
		if i > 0 && labels[i-1].Name >= l.Name {
			panic(fmt.Sprintf("kinglet: label %q does not sort after %q", l.Name, labels[i-1].Name))
		}
	}
}

// Field tags of the remote-write 1.0 messages TimeSeries and Label.
const (
	tagLabels = 1<<3 | 2 // TimeSeries.labels
	tagName   = 1<<3 | 2 // Label.name
	tagValue  = 2<<3 | 2 // Label.value
)

// EncodedLabelsSize is the length of what AppendEncodedLabels appends.
func EncodedLabelsSize(labels []Label) int {
	n := 0
	for _, l := range labels {
		inner := labelSize(l)
		n += 1 + uvarintSize(inner) + inner
	}
	return n
}

// AppendEncodedLabels appends labels as the `labels` fields of a remote-write
// 1.0 TimeSeries.
func AppendEncodedLabels(dst []byte, labels []Label) []byte {
	for _, l := range labels {
		dst = append(dst, tagLabels)
		dst = binary.AppendUvarint(dst, uint64(labelSize(l)))
		dst = append(dst, tagName)
		dst = binary.AppendUvarint(dst, uint64(len(l.Name)))
		dst = append(dst, l.Name...)
		dst = append(dst, tagValue)
		dst = binary.AppendUvarint(dst, uint64(len(l.Value)))
		dst = append(dst, l.Value...)
	}
	return dst
}

// AppendDecodedLabels reads back what AppendEncodedLabels wrote. It panics on
// anything else: such bytes never come from outside.
func AppendDecodedLabels(dst []Label, encoded []byte) []Label {
	for len(encoded) > 0 {
		var name, value []byte
		name, value, encoded = CutLabel(encoded)
		dst = append(dst, Label{Name: string(name), Value: string(value)})
	}
	return dst
}

// CutLabel takes the first label off what AppendEncodedLabels wrote. It panics
// on anything else.
func CutLabel(encoded []byte) (name, value, rest []byte) {
	label, rest := cutField(encoded, tagLabels)
	name, label = cutField(label, tagName)
	value, _ = cutField(label, tagValue)
	return name, value, rest
}

// cutField takes the length-delimited field with that tag off the front of b.
func cutField(b []byte, tag byte) (field, rest []byte) {
	if len(b) == 0 || b[0] != tag {
		panic("kinglet: encoded labels are damaged")
	}
	n, width := binary.Uvarint(b[1:])
	b = b[1+width:]
	return b[:n], b[n:]
}

func labelSize(l Label) int {
	return 1 + uvarintSize(len(l.Name)) + len(l.Name) + 1 + uvarintSize(len(l.Value)) + len(l.Value)
}

func uvarintSize(n int) int {
	size := 1
	for n >= 0x80 {
		n >>= 7
		size++
	}
	return size
}
