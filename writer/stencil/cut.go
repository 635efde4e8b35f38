package stencil

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"

	"github.com/klauspost/compress/s2"

	"kinglet"
)

// Classes of the bytes of a message. A copy element may write a byte only from
// a byte of the same class, and never one of a hole.
const (
	classText  = 0 // as it stands
	classHole  = 1 // a value that moves, or a column's own timestamp
	classStamp = 2 // to 7: the six bytes of the row's timestamp
)

// Cutter cuts stencils. It belongs to one goroutine.
type Cutter struct {
	*room
	idle int // calls of Rest since it was used

	widening bool
	// Thorough looks longer for matches: a few times the work, for smaller
	// messages. For shapes that stay.
	Thorough bool
}

// room is the memory that cutting takes.
type room struct {
	raw, packed, class, trimmed []byte
	values                      []int // where each column's value stands in raw

	matcher matcher
	labels  kinglet.LabelRoom
	gaps    []gap
	lost    []span
	literal []piece
	stamps  []stamp
}

// restsBeforeLetGo calls of Rest let go of the memory.
const restsBeforeLetGo = 64

// Rest is told, now and then, that time goes by. A cutter that was not used for a
// while lets go of its memory: cutting is rare once all shapes have their stencils.
func (c *Cutter) Rest() {
	if c.idle++; c.idle == restsBeforeLetGo {
		c.room = nil
	}
}

// begin provides c.room.
func (c *Cutter) begin() {
	c.idle = 0
	if c.room == nil {
		c.room = new(room)
	}
}

// Cut makes the stencil of row's shape with row's values in it. Columns for
// which moving reports true get a hole, the others are baked; nil bakes all.
// The row must fit.
func (c *Cutter) Cut(row *kinglet.Row, moving func(column int) bool) (*Stencil, error) {
	if !Fits(row) || row.Shape.Len() != len(row.Values) {
		return nil, errors.New("cut a stencil: the row does not fit one")
	}
	c.begin()
	c.layOut(row)
	return c.cut(row, moving, nil, nil)
}

// Widen makes the stencil of the same series with row's values: what was a hole
// stays one, and what moved since becomes one. It needs no labels, and looks
// for no new matches: copies that a new hole forbids become literals, which
// costs less than encoding the row plainly.
func (c *Cutter) Widen(s *Stencil, row *kinglet.Row) (*Stencil, error) {
	c.begin()
	if err := c.reload(s, row); err != nil {
		return nil, err
	}
	c.widening = true
	defer func() { c.widening = false }()
	wide, err := c.cut(row, func(i int) bool { return s.holes[i] != baked || s.isMoved(i) }, s, s.elements())
	if err != nil {
		return nil, err
	}
	wide.rows, wide.moved = s.rows, s.moved // the window goes on
	return wide, nil
}

// Recut is Widen with all matches looked for anew.
func (c *Cutter) Recut(s *Stencil, row *kinglet.Row) (*Stencil, error) {
	c.begin()
	if err := c.reload(s, row); err != nil {
		return nil, err
	}
	return c.cut(row, func(i int) bool { return s.holes[i] != baked || s.isMoved(i) }, s, nil)
}

// Rebake is Recut with holes only for what moved in the window that ends here.
func (c *Cutter) Rebake(s *Stencil, row *kinglet.Row) (*Stencil, error) {
	c.begin()
	if err := c.reload(s, row); err != nil {
		return nil, err
	}
	return c.cut(row, s.isMoved, s, nil)
}

// reload lays out the message of a stencil's series, and notes what row moves.
func (c *Cutter) reload(s *Stencil, row *kinglet.Row) error {
	if !Fits(row) || s.columns != len(row.Values) {
		return errors.New("recut a stencil: the row does not fit it")
	}
	if gone, back := s.Compare(row); gone+back > 0 {
		return errors.New("recut a stencil: the row has other series")
	}
	var err error
	if c.raw, err = s.appendRaw(c.raw[:0]); err != nil {
		return err
	}
	c.locate(s)
	for i, v := range row.Values {
		if math.Float64bits(v) != s.last[i] {
			s.moved[i>>6] |= 1 << (i & 63)
		}
	}
	return nil
}

// layOut writes the message of the series that row has values for into c.raw,
// values and timestamps still zero.
func (c *Cutter) layOut(row *kinglet.Row) {
	c.raw, c.values = c.raw[:0], c.values[:0]
	for i, labels := range row.Shape.Where(&c.labels, func(int) bool { return true }) {
		if kinglet.IsAbsent(row.Values[i]) {
			c.values = append(c.values, notThere)
			continue
		}
		c.raw = append(c.raw, 0x0a)
		c.raw = binary.AppendUvarint(c.raw, uint64(len(labels)+sampleBytes))
		c.raw = append(c.raw, labels...)
		c.values = append(c.values, len(c.raw)+valueAt)
		c.raw = append(c.raw, 0x12, sampleBytes-2, 0x09, 0, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0)
	}
}

// notThere is the place of a value whose series is not in the message.
const notThere = -1

// locate finds the values in c.raw, the message of s.
func (c *Cutter) locate(s *Stencil) {
	c.values = c.values[:0]
	at := 0
	for i := range s.columns {
		if s.last[i] == kinglet.AbsentBits {
			c.values = append(c.values, notThere)
			continue
		}
		size, width := binary.Uvarint(c.raw[at+1:])
		at += 1 + width + int(size)
		c.values = append(c.values, at-sampleBytes+valueAt)
	}
}

// cut makes the stencil of the message laid out in c.raw: old's successor, if
// there is one, from the matches in elements, if not nil.
func (c *Cutter) cut(row *kinglet.Row, moving func(int) bool, old *Stencil, elements []byte) (*Stencil, error) {
	n := len(row.Values)
	if s2.MaxEncodedLen(len(c.raw)) >= maxBytes || s2.MaxEncodedLen(len(c.raw)) < 0 {
		return nil, fmt.Errorf("cut a stencil: a message of %d bytes is too long for one", len(c.raw))
	}
	s := &Stencil{
		rawLen: len(c.raw), columns: n,
		last: make([]uint64, n), holes: make([]hole, n), low: make([]uint8, n), moved: make([]uint64, (n+63)/64),
	}
	if row.TimesMs != nil {
		s.times = make([]uint32, n)
	}
	c.measure(s)
	c.classify(s, row, moving, old)
	if elements == nil {
		elements = c.encode()
	}
	if err := c.trim(s, elements); err != nil {
		return nil, err
	}
	return s, c.finish(s, row)
}

// measure notes how long each series is in c.raw.
func (c *Cutter) measure(s *Stencil) {
	s.sizes = make([]uint16, len(c.values))
	end := 0
	for i, at := range c.values {
		if at == notThere {
			continue
		}
		size := at - valueAt + sampleBytes - end
		end += size
		s.live++
		if size > math.MaxUint16 {
			s.sizes = nil // it cannot be narrowed, and is cut anew
		}
		if s.sizes != nil {
			s.sizes[i] = uint16(size)
		}
	}
}

// encode gives the elements that a well-kept encoder makes of c.raw.
func (c *Cutter) encode() []byte {
	if c.Thorough {
		c.packed = c.matcher.encode(c.packed[:0], c.raw)
		return c.packed
	}
	c.packed = s2.EncodeSnappy(grow(c.packed, s2.MaxEncodedLen(len(c.raw))), c.raw)
	_, width := binary.Uvarint(c.packed)
	return c.packed[width:]
}

// classify says of every byte of c.raw what it is, and puts noise where values
// move, so that the encoder finds nothing to copy there.
func (c *Cutter) classify(s *Stencil, row *kinglet.Row, moving func(int) bool, old *Stencil) {
	c.class = grow(c.class, len(c.raw))
	clear(c.class)
	noise := uint64(0x9e3779b97f4a7c15)
	for i, at := range c.values {
		value := math.Float64bits(row.Values[i])
		s.last[i], s.holes[i], s.low[i] = value, baked, zeroBytes(value)
		if at == notThere {
			continue
		}
		if old != nil {
			s.low[i] = min(s.low[i], old.low[i])
		}
		if moving != nil && moving(i) {
			shift := c.shift(s, i, old)
			s.holes[i] = hole(shift) << shiftBit // the offset comes with the stream
			noise = noise*6364136223846793005 + 1442695040888963407
			value = (noise ^ noise>>29) << (8 * shift)
			fill(c.class[at+shift:at+8], classHole)
		}
		binary.LittleEndian.PutUint64(c.raw[at:], value)
		stampAt := at + timeAt - valueAt
		if row.TimesMs != nil && row.TimesMs[i] != kinglet.NoTime {
			s.times[i] = 1 // found when the stream is made
			noise = noise*6364136223846793005 + 1442695040888963407
			putTime(c.raw[stampAt:], minTimeMs|int64(noise>>22&(1<<41-1)))
			fill(c.class[stampAt:stampAt+timeBytes], classHole)
			continue
		}
		putTime(c.raw[stampAt:], row.TimestampMs)
		for j := range timeBytes {
			c.class[stampAt+j] = classStamp + byte(j)
		}
	}
}

// finish puts row's numbers into the holes and holds the result against the
// plain message: a stencil that does not decode to it is never used.
func (c *Cutter) finish(s *Stencil, row *kinglet.Row) error {
	for i, at := range c.values {
		if at == notThere {
			continue
		}
		value := math.Float64bits(row.Values[i])
		binary.LittleEndian.PutUint64(c.raw[at:], value)
		if s.holes[i] != baked {
			s.holes[i].put(s.stream, value)
		}
		if s.times != nil && s.times[i] != 0 {
			putTime(c.raw[at+timeAt-valueAt:], row.TimesMs[i])
			putTime(s.stream[s.times[i]:], row.TimesMs[i])
		}
	}
	var err error
	if c.packed, err = s.appendRaw(c.packed[:0]); err != nil {
		return err
	}
	if string(c.packed) != string(c.raw) {
		return errors.New("cut a stencil: what it decodes to is not the message")
	}
	return nil
}

// elements are the snappy elements of the template.
func (s *Stencil) elements() []byte { return s.stream[s.start : len(s.stream)-slack] }

// appendRaw appends to dst, which is empty, the decoded message with the latest
// values.
func (s *Stencil) appendRaw(dst []byte) ([]byte, error) {
	out, err := s2.Decode(grow(dst, s.rawLen), s.stream[:len(s.stream)-slack])
	if err != nil {
		return dst, fmt.Errorf("decode a stencil: %w", err)
	}
	return out, nil
}

// grow gives b the length n; what it held may be gone.
func grow(b []byte, n int) []byte {
	if cap(b) < n {
		return make([]byte, n)
	}
	return b[:n]
}

// shift is the number of low bytes of column i that are baked as zero, given
// what its values have shown so far.
func (c *Cutter) shift(s *Stencil, i int, old *Stencil) int {
	seen := int(s.low[i])
	switch {
	case old == nil || seen < 2:
		return 0 // nothing was seen yet, or the zero bytes may be chance
	case c.widening && old.holes[i] != baked:
		return min(seen, int(old.holes[i].shift())) // there are no new matches to be had
	}
	return seen
}

// zeroBytes is the number of low bytes of value, of four, that are zero.
func zeroBytes(value uint64) uint8 { return uint8(bits.TrailingZeros32(uint32(value)) / 8) }

func fill(b []byte, class byte) {
	for i := range b {
		b[i] = class
	}
}
