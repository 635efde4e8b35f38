package stencil

import (
	"encoding/binary"
	"errors"
)

// Tags of snappy's elements, in the low two bits of their first byte.
const (
	tagLiteral = 0
	tagCopy1   = 1 // length 4 to 11, offset below 2 KiB: 2 bytes
	tagCopy2   = 2 // length 1 to 64, offset below 64 KiB: 3 bytes
	tagCopy4   = 3 // length 1 to 64, any offset: 5 bytes
)

var errElements = errors.New("cut a stencil: the encoder's elements are damaged")

// trimmer writes a stream of elements in which no copy touches a hole.
type trimmer struct {
	c       *Cutter
	s       *Stencil
	literal int // raw bytes from here to done wait as a literal
	done    int // raw bytes read so far
	column  int // first column whose value may still come
}

// trim walks elements, which decode to c.raw, and writes s.stream: the same
// message, but every byte that a copy may not give becomes a literal. It notes
// where the holes and the row's timestamp landed.
func (c *Cutter) trim(s *Stencil, elements []byte) error {
	c.trimmed = binary.AppendUvarint(c.trimmed[:0], uint64(len(c.raw)))
	s.start = len(c.trimmed)
	t := trimmer{c: c, s: s}
	for len(elements) > 0 {
		length, offset, size := element(elements)
		if size == 0 || size > len(elements) || offset > t.done || t.done+length > len(c.raw) {
			return errElements
		}
		elements = elements[size:]
		if offset == 0 {
			t.done += length
			continue
		}
		t.copy(offset, length)
	}
	if t.done != len(c.raw) {
		return errElements
	}
	t.flush()
	s.stream = append(make([]byte, 0, len(c.trimmed)+slack), c.trimmed...) // stencils live long
	s.stream = s.stream[:len(c.trimmed)+slack]
	return nil
}

// element reads the element at the front of src: how many bytes it writes, from
// how far back (0: it is a literal), and how many bytes of src it takes.
func element(src []byte) (length, offset, size int) {
	switch src[0] & 3 {
	case tagLiteral:
		length = int(src[0] >> 2)
		extra := 0
		if length >= 60 {
			extra = length - 59
			if len(src) < 1+extra {
				return 0, 0, 0
			}
			length = 0
			for i := range extra {
				length |= int(src[1+i]) << (8 * i)
			}
		}
		length++
		return length, 0, 1 + extra + length
	case tagCopy1:
		if len(src) < 2 {
			return 0, 0, 0
		}
		return 4 + int(src[0]>>2)&7, int(src[0]&0xe0)<<3 | int(src[1]), 2
	case tagCopy2:
		if len(src) < 3 {
			return 0, 0, 0
		}
		return 1 + int(src[0]>>2), int(binary.LittleEndian.Uint16(src[1:])), 3
	default:
		if len(src) < 5 {
			return 0, 0, 0
		}
		return 1 + int(src[0]>>2), int(binary.LittleEndian.Uint32(src[1:])), 5
	}
}

// copy takes over the parts of a copy that are allowed.
func (t *trimmer) copy(offset, length int) {
	end := t.done + length
	for t.done < end {
		from := t.done
		t.done += t.allowed(offset, end)
		if n := t.done - from; n >= minCopy(offset) {
			t.done = from
			t.flush()
			t.c.trimmed = appendCopy(t.c.trimmed, offset, n)
			t.done += n
			t.literal = t.done
		} // else it stays in the literal that is waiting
		if t.done < end {
			t.done++ // as does this byte
		}
	}
}

// allowed is how many bytes from t.done on, to end at most, a copy may give.
func (t *trimmer) allowed(offset, end int) int {
	class := t.c.class
	at := t.done
	for at < end {
		if at+8 <= end && binary.LittleEndian.Uint64(class[at:])|binary.LittleEndian.Uint64(class[at-offset:]) == 0 {
			at += 8 // most bytes are text, and come from text
			continue
		}
		if class[at] == classHole || class[at] != class[at-offset] {
			break
		}
		at++
	}
	return at - t.done
}

// minCopy is the shortest copy that is no longer than the literal it replaces.
func minCopy(offset int) int {
	if offset < 1<<16 {
		return 4
	}
	return 6
}

// flush writes the waiting literal, and notes what of it is to be filled.
func (t *trimmer) flush() {
	if t.literal == t.done {
		return
	}
	c := t.c
	c.trimmed = appendLiteralTag(c.trimmed, t.done-t.literal)
	at := len(c.trimmed)
	c.trimmed = append(c.trimmed, c.raw[t.literal:t.done]...)
	t.note(at)
	t.literal = t.done
}

// note finds values and timestamps in the literal that stands at that place of
// the stream. Holes are never split: all their bytes are literals.
func (t *trimmer) note(at int) {
	values, class := t.c.values, t.c.class
	shift := at - t.literal
	for t.column < len(values) && (values[t.column] == notThere || values[t.column]+timeAt-valueAt+timeBytes <= t.literal) {
		t.column++
	}
	for i := t.column; i < len(values); i++ {
		value := values[i]
		if value == notThere {
			continue
		}
		if value >= t.done {
			break
		}
		if h := t.s.holes[i]; h != baked {
			if start := value + int(h.shift()); start >= t.literal && start < t.done {
				t.s.holes[i] = h | hole(start+shift)
			}
		}
		stampAt := value + timeAt - valueAt
		if stampAt >= t.literal && stampAt < t.done && class[stampAt] == classHole {
			t.s.times[i] = uint32(stampAt + shift)
		}
		for j := max(stampAt, t.literal); j < min(stampAt+timeBytes, t.done); j++ {
			if class[j] >= classStamp {
				t.s.stamps = append(t.s.stamps, stamp{at: uint32(j + shift), byte: class[j] - classStamp})
			}
		}
	}
}

func appendLiteralTag(dst []byte, length int) []byte {
	n := uint32(length - 1)
	switch {
	case n < 60:
		return append(dst, byte(n<<2)|tagLiteral)
	case n < 1<<8:
		return append(dst, 60<<2|tagLiteral, byte(n))
	case n < 1<<16:
		return append(dst, 61<<2|tagLiteral, byte(n), byte(n>>8))
	case n < 1<<24:
		return append(dst, 62<<2|tagLiteral, byte(n), byte(n>>8), byte(n>>16))
	default:
		return append(dst, 63<<2|tagLiteral, byte(n), byte(n>>8), byte(n>>16), byte(n>>24))
	}
}

// appendCopy writes a copy of any length in the fewest bytes.
func appendCopy(dst []byte, offset, length int) []byte {
	for length > 0 {
		n := min(length, 64)
		if rest := length - n; rest > 0 && rest < 4 {
			n -= 4 // leave a rest that has a short form
		}
		length -= n
		switch {
		case offset < 1<<11 && n >= 4 && n <= 11:
			dst = append(dst, byte(offset>>8)<<5|byte(n-4)<<2|tagCopy1, byte(offset))
		case offset < 1<<16:
			dst = append(dst, byte(n-1)<<2|tagCopy2, byte(offset), byte(offset>>8))
		default:
			dst = append(dst, byte(n-1)<<2|tagCopy4, byte(offset), byte(offset>>8), byte(offset>>16), byte(offset>>24))
		}
	}
	return dst
}
