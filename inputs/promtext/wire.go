package promtext

import (
	"encoding/binary"
	"math"
	"slices"
)

// wireReader walks the fields of one protobuf message. It allocates nothing:
// what it gives points into the message. Once something is wrong it stops, and
// bad says so.
type wireReader struct {
	rest  []byte
	field int32
	typ   byte
	num   uint64 // of a varint or a fixed 64-bit field
	data  []byte // of a length-delimited field
	bad   bool
}

// The wire types of protobuf; groups (3 and 4) are refused.
const (
	wireVarint  = 0
	wireFixed64 = 1
	wireBytes   = 2
	wireFixed32 = 5
)

// next moves to the next field, and reports whether there is one.
func (r *wireReader) next() bool {
	if r.bad || len(r.rest) == 0 {
		return false
	}
	tag := r.varint()
	r.field, r.typ = int32(tag>>3), byte(tag&7)
	r.num, r.data = 0, nil
	if r.field <= 0 {
		r.bad = true
	}
	switch r.typ {
	case wireVarint:
		r.num = r.varint()
	case wireFixed64:
		if b := r.take(8); b != nil {
			r.num = binary.LittleEndian.Uint64(b)
		}
	case wireBytes:
		r.data = r.take(r.varint())
	case wireFixed32:
		r.take(4)
	default:
		r.bad = true
	}
	return !r.bad
}

func (r *wireReader) varint() uint64 {
	if b := r.rest; len(b) > 0 && b[0] < 0x80 { // nearly always
		r.rest = b[1:]
		return uint64(b[0])
	}
	v, width := varint(r.rest)
	if width == 0 {
		r.bad = true
		return 0
	}
	r.rest = r.rest[width:]
	return v
}

// take takes n bytes off the front.
func (r *wireReader) take(n uint64) []byte {
	if r.bad || n > uint64(len(r.rest)) {
		r.bad = true
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}

// bytes is the field as a string or message.
func (r *wireReader) bytes() []byte {
	r.bad = r.bad || r.typ != wireBytes
	return r.data
}

// uint is the field as an unsigned integer.
func (r *wireReader) uint() uint64 {
	r.bad = r.bad || r.typ != wireVarint
	return r.num
}

// double is the field as a float64.
func (r *wireReader) double() float64 {
	r.bad = r.bad || r.typ != wireFixed64
	return math.Float64frombits(r.num)
}

// zigzags appends the field as one sint64, or many when packed.
func (r *wireReader) zigzags(dst []int64) []int64 {
	if r.typ != wireBytes {
		return append(dst, zigzag(r.uint()))
	}
	for b := r.data; len(b) > 0; {
		v, width := varint(b)
		if width == 0 {
			r.bad = true
			break
		}
		dst = append(dst, zigzag(v))
		b = b[width:]
	}
	return dst
}

// doubles appends the field as one float64, or many when packed.
func (r *wireReader) doubles(dst []float64) []float64 {
	if r.typ != wireBytes {
		return append(dst, r.double())
	}
	r.bad = r.bad || len(r.data)%8 != 0
	for b := range slices.Chunk(r.data, 8) {
		if len(b) == 8 {
			dst = append(dst, math.Float64frombits(binary.LittleEndian.Uint64(b)))
		}
	}
	return dst
}

// merged is a message that was given in two parts: for protobuf, that is one
// behind the other. It happens to no one who means well.
func merged(first, second []byte) []byte {
	if first == nil {
		return second
	}
	return slices.Concat(first, second)
}

// varint reads a varint of at most ten bytes; bits beyond 64 are lost, as in
// other decoders. The width is 0 if there is none.
func varint(b []byte) (v uint64, width int) {
	for i, c := range b[:min(len(b), binary.MaxVarintLen64)] {
		v |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			return v, i + 1
		}
	}
	return 0, 0
}

func zigzag(v uint64) int64 { return int64(v>>1) ^ -int64(v&1) }
