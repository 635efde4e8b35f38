package kinglet

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"iter"
	"sync/atomic"

	"github.com/klauspost/compress/s2"
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
// compressed: label sets are read when a shape is new, and when it ends, while a
// node's fifty thousand of them, 250 bytes each, would else be the largest part
// of the program.
type Shape struct {
	blocks   [][]byte // of blockColumns label sets each: front-coded, see appendDifference and appendHexed, then snappy
	columns  int
	kinds    []Kind   // nil if all are floats
	metas    []*Meta  // those of the columns, each once: fifty thousand pointers would be work for the collector
	metaOf   []uint32 // by column: the place in metas and 1, or 0; nil if no series has one
	legacy   bool     // see LegacyNames
	attached atomic.Value
}

// blockColumns bounds the work of reading a single column.
const blockColumns = 32

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

// packer makes a shape column by column. In its room are the label sets since the
// last full block, and the one added last.
type packer struct {
	*LabelRoom
	shape *Shape
	added int
	place map[*Meta]uint32
}

func newPacker(room *LabelRoom, columns int) *packer {
	room.raw, room.before = room.raw[:0], room.before[:0]
	return &packer{LabelRoom: room, shape: &Shape{columns: columns, legacy: true, blocks: make([][]byte, 0, (columns+blockColumns-1)/blockColumns)}}
}

// add adds a column. The label set stays the caller's.
func (p *packer) add(labels []byte, kind Kind, meta *Meta) {
	s := p.shape
	p.raw = appendDifference(p.raw, p.before, labels)
	p.before = append(p.before[:0], labels...)
	if kind != KindFloat {
		if s.kinds == nil {
			s.kinds = make([]Kind, s.columns)
		}
		s.kinds[p.added] = kind
	}
	if meta != nil {
		if s.metaOf == nil {
			s.metaOf, p.place = make([]uint32, s.columns), map[*Meta]uint32{}
		}
		if p.place[meta] == 0 {
			s.metas = append(s.metas, meta)
			p.place[meta] = uint32(len(s.metas))
		}
		s.metaOf[p.added] = p.place[meta]
	}
	if p.added++; p.added%blockColumns == 0 || p.added == s.columns {
		s.blocks = append(s.blocks, bytes.Clone(p.pack()))
		p.raw, p.before = p.raw[:0], p.before[:0]
	}
}

// largeShape columns make a shape that lasts: smaller ones are merged into others
// before long, where series come and go.
const largeShape = 256

// pack compresses the block, with less care in a shape that is soon another.
func (p *packer) pack() []byte {
	p.hexed = appendHexed(p.hexed[:0], p.raw)
	if need := s2.MaxEncodedLen(len(p.hexed)); cap(p.packed) < need {
		p.packed = make([]byte, need)
	}
	if p.shape.columns < largeShape {
		return s2.EncodeSnappy(p.packed[:cap(p.packed)], p.hexed)
	}
	return s2.EncodeSnappyBetter(p.packed[:cap(p.packed)], p.hexed)
}

// Len is the number of columns.
func (s *Shape) Len() int { return s.columns }

// LabelBytes is the memory that the label sets take, in bytes.
func (s *Shape) LabelBytes() int {
	n := 0
	for _, b := range s.blocks {
		n += len(b)
	}
	return n
}

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

// LabelRoom is the memory that reading and packing label sets takes, for whoever
// does it often. The zero value is ready. It belongs to one goroutine, and to one
// shape at a time.
type LabelRoom struct {
	raw         []byte // a block, as it is before it is packed
	hexed       []byte // on its way
	packed      []byte
	before, now []byte // label sets
}

// All goes through the columns in order, each with its label set as the
// `labels` fields of a remote-write 1.0 TimeSeries. The bytes are valid until
// the next column, and read only.
func (s *Shape) All() iter.Seq2[int, []byte] {
	return s.Where(new(LabelRoom), func(int) bool { return true })
}

// Where is All for the columns that are wanted, without the work of the blocks in
// which there are none. The bytes lie in room.
func (s *Shape) Where(room *LabelRoom, wanted func(i int) bool) iter.Seq2[int, []byte] {
	return func(yield func(int, []byte) bool) {
		before, now := room.before, room.now
		defer func() { room.before, room.now = before, now }()
		for n, block := range s.blocks {
			end := min((n+1)*blockColumns, s.columns)
			for end > n*blockColumns && !wanted(end-1) {
				end--
			}
			if end == n*blockColumns {
				continue
			}
			rest := room.unpack(block)
			before = before[:0]
			for i := n * blockColumns; i < end; i++ {
				now, rest = cutDifference(now[:0], before, rest)
				if wanted(i) && !yield(i, now) {
					return
				}
				before, now = now, before
			}
		}
	}
}

// EncodedLabels is the label set of column i as the `labels` fields of a
// remote-write 1.0 TimeSeries. The bytes are the caller's. It takes some ten
// microseconds: for more than a few columns use All.
func (s *Shape) EncodedLabels(i int) []byte {
	var before, now []byte
	rest := new(LabelRoom).unpack(s.blocks[i/blockColumns])
	for range i%blockColumns + 1 {
		before, now = now, before
		now, rest = cutDifference(now[:0], before, rest)
	}
	return now
}

// unpack decodes a block.
func (r *LabelRoom) unpack(block []byte) (raw []byte) {
	if need, err := s2.DecodedLen(block); err == nil && need > cap(r.hexed) {
		r.hexed = make([]byte, need+need/4)
	}
	hexed, err := s2.Decode(r.hexed[:cap(r.hexed)], block)
	if err != nil {
		panic("kinglet: a shape's labels are damaged: " + err.Error()) // we wrote them
	}
	r.raw = appendUnhexed(r.raw[:0], hexed)
	return r.raw
}

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

// appendDifference writes now as the lengths of what it shares with the front
// and the back of before, the length of the rest, and the rest.
func appendDifference(dst, before, now []byte) []byte {
	front := 0
	for limit := min(len(before), len(now)); front < limit && before[front] == now[front]; {
		front++
	}
	back := 0
	for limit := min(len(before), len(now)) - front; back < limit && before[len(before)-1-back] == now[len(now)-1-back]; {
		back++
	}
	dst = binary.AppendUvarint(dst, uint64(front))
	dst = binary.AppendUvarint(dst, uint64(back))
	dst = binary.AppendUvarint(dst, uint64(len(now)-front-back))
	return append(dst, now[front:len(now)-back]...)
}

// cutDifference takes one label set off packed and appends it to dst, which
// does not overlap before.
func cutDifference(dst, before, packed []byte) (now, rest []byte) {
	front, packed := cutUvarint(packed)
	back, packed := cutUvarint(packed)
	own, packed := cutUvarint(packed)
	dst = append(dst, before[:front]...)
	dst = append(dst, packed[:own]...)
	return append(dst, before[uint64(len(before))-back:]...), packed[own:]
}

func cutUvarint(b []byte) (uint64, []byte) {
	n, width := binary.Uvarint(b)
	return n, b[width:]
}
