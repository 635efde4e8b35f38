// Package stencil keeps a remote-write 1.0 message of a shape's series as a
// snappy-compressed template with holes where values and timestamps go.
// Filling it costs a copy of the template and a few bytes a hole: nothing is
// marshalled or compressed again while only numbers change.
//
// Values that stand still are part of the template; when one of them moves,
// Fill refuses and the caller cuts again. A stencil opens no connection, and
// never changes a value.
package stencil

import (
	"encoding/binary"
	"math"
	"slices"

	"kinglet"
)

// Timestamps are written as 6-byte varints, so that every length is constant.
// That covers 1971 to 2109; a row with others is not for a stencil.
const (
	timeBytes = 6
	minTimeMs = 1 << 35
	maxTimeMs = 1<<42 - 1
)

// A sample is `12 10`, `09` and eight bytes of value, `10` and the timestamp.
const (
	sampleBytes = 2 + 1 + 8 + 1 + timeBytes
	valueAt     = 3           // of the value within the sample
	timeAt      = valueAt + 9 // of the timestamp within the sample
)

// A hole is where a moving value stands in the stream: the offset in the low 29
// bits and, above them, how many low bytes of the value are baked. Counters are
// whole numbers, whose float64 ends in zero bytes: these come for nothing with
// the copy of the labels before them.
type hole uint32

const (
	baked    hole = math.MaxUint32 // the whole value is part of the template
	shiftBit      = 29
	maxShift      = 4 // four zero bytes: whole numbers below 2^21
	maxBytes      = 1 << shiftBit
)

func (h hole) at() uint32   { return uint32(h) & (maxBytes - 1) }
func (h hole) shift() uint8 { return uint8(h >> shiftBit) }

// put writes value into stream, which has room for eight bytes after the hole,
// and leaves alone what stands behind the hole. It reports whether the bytes
// that are baked are those of value.
func (h hole) put(stream []byte, value uint64) bool {
	shift := h.shift() * 8
	if value&(1<<shift-1) != 0 {
		return false
	}
	b := stream[h.at():]
	behind := binary.LittleEndian.Uint64(b) &^ (math.MaxUint64 >> shift)
	binary.LittleEndian.PutUint64(b, behind|value>>shift)
	return true
}

// Stencil is the template of one shape. It belongs to one goroutine.
type Stencil struct {
	stream []byte // a snappy block, and slack behind it
	start  int    // where its elements begin, behind the length preamble
	rawLen int    // decoded length

	last   []uint64 // bits of each column's latest value; of absent if its series is not in the message
	holes  []hole   // where each column's value stands in stream, or baked
	sizes  []uint16 // bytes of each column's series in the message, 0 if it is not there; nil if one is too long
	low    []uint8  // the fewest zero bytes, of the four lowest, that its values had
	times  []uint32 // nil, or where a column's own timestamp stands; 0: it takes the row's
	stamps []stamp  // where the row's timestamp stands

	moved   []uint64 // bit set: columns whose value moved in this window
	rows    int      // filled in this window
	columns int
	live    int // columns whose series are in the message
}

// slack is what stream has behind its end, so that put may load eight bytes.
const slack = maxShift

// stamp is one byte of the row's timestamp in the stream.
type stamp struct {
	at   uint32
	byte uint8 // which of the six
}

// RawLen is the decoded length of what Fill appends, in bytes. It never changes.
func (s *Stencil) RawLen() int { return s.rawLen }

// Size is the length of what Fill appends, in bytes.
func (s *Stencil) Size() int { return len(s.stream) - s.start - slack }

// Samples is the number of samples a filled stencil holds.
func (s *Stencil) Samples() int { return s.live }

// Fits reports whether a stencil can carry row at all: floats only, some of
// them there, no exemplars or start timestamps, timestamps of our age.
func Fits(row *kinglet.Row) bool {
	if row.Histograms != nil || row.StartsMs != nil || len(row.Exemplars) > 0 || len(row.Values) == 0 || !fits(row.TimestampMs) {
		return false
	}
	for _, t := range row.TimesMs {
		if t != kinglet.NoTime && !fits(t) {
			return false
		}
	}
	return slices.ContainsFunc(row.Values, func(v float64) bool { return !kinglet.IsAbsent(v) })
}

// Compare tells how many series of the message row has no value for, and how
// many it has a value for that are not in the message.
func (s *Stencil) Compare(row *kinglet.Row) (gone, back int) {
	for i, v := range row.Values {
		switch had := s.last[i] != kinglet.AbsentBits; {
		case had && kinglet.IsAbsent(v):
			gone++
		case !had && !kinglet.IsAbsent(v):
			back++
		}
	}
	return gone, back
}

// Has reports whether the message has column i's series.
func (s *Stencil) Has(i int) bool { return s.last[i] != kinglet.AbsentBits }

// TakesAny reports whether column i's series is in the message, with a hole for
// whatever value.
func (s *Stencil) TakesAny(i int) bool {
	return s.Has(i) && s.holes[i] != baked && s.holes[i].shift() == 0
}

// CanNarrow reports whether Narrow can be asked to take series out.
func (s *Stencil) CanNarrow() bool { return s.sizes != nil }

// Moves reports whether column i has a hole.
func (s *Stencil) Moves(i int) bool { return s.holes[i] != baked }

func fits(timestampMs int64) bool { return timestampMs >= minTimeMs && timestampMs <= maxTimeMs }

// Fill appends to dst the snappy elements of the message with row's values and
// timestamps, and reports whether it could: it refuses, and dst is as it was,
// when a baked value moved, a series is gone or back, or row does not fit. The
// row is only read.
func (s *Stencil) Fill(dst []byte, row *kinglet.Row) ([]byte, bool) {
	if len(row.Values) != s.columns || (row.TimesMs != nil) != (s.times != nil) || !fits(row.TimestampMs) {
		return dst, false
	}
	if !s.update(row.Values) || !s.updateTimes(row.TimesMs) {
		return dst, false
	}
	var stampBytes [timeBytes]byte
	putTime(stampBytes[:], row.TimestampMs)
	for _, p := range s.stamps {
		s.stream[p.at] = stampBytes[p.byte]
	}
	s.rows++
	return append(dst, s.stream[s.start:len(s.stream)-slack]...), true
}

// update writes the values that moved into the template. It reports false,
// having noted which, if a baked or an absent one did.
func (s *Stencil) update(values []float64) bool {
	ok := true
	last := s.last[:len(values)]
	holes := s.holes[:len(values)]
	for i, v := range values {
		bits := math.Float64bits(v)
		if bits == last[i] {
			continue
		}
		if bits == kinglet.AbsentBits {
			return false
		}
		s.moved[i>>6] |= 1 << (i & 63)
		s.low[i] = min(s.low[i], zeroBytes(bits))
		if holes[i] == baked || !holes[i].put(s.stream, bits) {
			ok = false
			continue
		}
		last[i] = bits
	}
	return ok
}

func (s *Stencil) updateTimes(timesMs []int64) bool {
	for i, t := range timesMs {
		at := s.times[i]
		if s.last[i] == kinglet.AbsentBits {
			continue
		}
		if (t == kinglet.NoTime) != (at == 0) {
			return false
		}
		if at == 0 {
			continue
		}
		if !fits(t) {
			return false
		}
		putTime(s.stream[at:at+timeBytes], t)
	}
	return true
}

// Rows is the number of rows filled in this window, which begins with a cut
// that looks for new matches, and with Wasteful.
func (s *Stencil) Rows() int { return s.rows }

// Wasteful ends the window: it reports whether so many holes have stood still
// that it pays to Rebake; else a new window begins.
func (s *Stencil) Wasteful() bool {
	s.rows = 0
	holes, still := 0, 0
	for i, h := range s.holes {
		if h == baked {
			continue
		}
		holes++
		if !s.isMoved(i) {
			still++
		}
	}
	if still*4 > holes && still > 8 {
		return true // moved stays, and says which keep their holes
	}
	clear(s.moved)
	return false
}

// isMoved reports whether column i's value moved in this window.
func (s *Stencil) isMoved(i int) bool { return s.moved[i>>6]&(1<<(i&63)) != 0 }

// putTime writes t, which fits, as a 6-byte varint.
func putTime(b []byte, t int64) {
	u := uint64(t)
	_ = b[timeBytes-1]
	b[0] = byte(u) | 0x80
	b[1] = byte(u>>7) | 0x80
	b[2] = byte(u>>14) | 0x80
	b[3] = byte(u>>21) | 0x80
	b[4] = byte(u>>28) | 0x80
	b[5] = byte(u >> 35)
}
