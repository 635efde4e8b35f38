package kinglet

import (
	"bytes"
	"encoding/binary"
	"iter"
	"slices"

	"github.com/klauspost/compress/s2"
)

// The label sets of a shape lie in one piece of memory, in blocks of some columns
// each, so that a node's shapes are few objects to the garbage collector and yet
// a single column is read without the others. In a block each set is written as
// its difference from the one before, see appendDifference. That is all in small
// shapes; in others long hexadecimal numbers are packed, see appendHexed, and the
// block is compressed by snappy.

// blockColumns bounds the work of reading a single column.
const blockColumns = 32

// Sizes of shapes, in columns. Where series come and go, small shapes are merged
// into others before long, and the smallest within a few scrapes.
const (
	compressedShape = 64  // and larger ones are compressed,
	largeShape      = 256 // and from this size on with more care, as they last
)

func (s *Shape) compressed() bool { return s.columns >= compressedShape }

// LabelRoom is the memory that reading and packing label sets takes, for whoever
// does it often. The zero value is ready. It belongs to one goroutine, and to one
// shape at a time.
type LabelRoom struct {
	raw         []byte // a block, as it is before it is packed
	hexed       []byte // on its way
	before, now []byte // label sets

	labels []byte // of a shape in the making, as it will have them
	ends   []uint32
}

// packer makes a shape column by column. In its room are the blocks that are full,
// the label sets since then, and the one added last.
type packer struct {
	*LabelRoom
	shape *Shape
	added int
	place map[*Meta]uint32
}

func newPacker(room *LabelRoom, columns int) *packer {
	room.raw, room.before = room.raw[:0], room.before[:0]
	room.labels, room.ends = room.labels[:0], room.ends[:0]
	return &packer{LabelRoom: room, shape: &Shape{columns: columns, legacy: true}}
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
	p.added++
	switch {
	case p.added == s.columns:
		p.pack()
		s.labels = bytes.Clone(p.labels)
		s.ends = slices.Clone(p.ends)
	case p.added%blockColumns == 0:
		p.pack()
		p.ends = append(p.ends, uint32(len(p.labels))) // a page is bounded far below 4 GiB
	}
}

// pack adds the block to those that are full, and begins another.
func (p *packer) pack() {
	if p.shape.compressed() {
		p.hexed = appendHexed(p.hexed[:0], p.raw)
		p.labels = slices.Grow(p.labels, s2.MaxEncodedLen(len(p.hexed)))
		encode := s2.EncodeSnappy
		if p.shape.columns >= largeShape {
			encode = s2.EncodeSnappyBetter
		}
		p.labels = append(p.labels, encode(p.labels[len(p.labels):cap(p.labels)], p.hexed)...)
	} else {
		p.labels = append(p.labels, p.raw...)
	}
	p.raw, p.before = p.raw[:0], p.before[:0]
}

// LabelBytes is the memory that the label sets take, in bytes.
func (s *Shape) LabelBytes() int { return len(s.labels) + 4*len(s.ends) }

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
		for from := 0; from < s.columns; from += blockColumns {
			end := min(from+blockColumns, s.columns)
			for end > from && !wanted(end-1) {
				end--
			}
			if end == from {
				continue
			}
			rest := room.unpack(s, from/blockColumns)
			before = before[:0]
			for i := from; i < end; i++ {
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
	rest := new(LabelRoom).unpack(s, i/blockColumns)
	for range i%blockColumns + 1 {
		before, now = now, before
		now, rest = cutDifference(now[:0], before, rest)
	}
	return now
}

// unpack is block n of a shape as it was before it was packed. It is read only.
func (r *LabelRoom) unpack(s *Shape, n int) (raw []byte) {
	from, end := 0, len(s.labels)
	if n > 0 {
		from = int(s.ends[n-1])
	}
	if n < len(s.ends) {
		end = int(s.ends[n])
	}
	block := s.labels[from:end]
	if !s.compressed() {
		return block
	}
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
