package stencil

import (
	"encoding/binary"
	"errors"
	"sort"

	"kinglet"
)

// Narrow takes the series that row has no value for out of the message; the rest
// of it is what it was. It needs no labels and looks for no matches: what was
// copied from a series that leaves is copied from where that series had it from,
// or becomes a literal. Elements that neither touch what leaves nor reach back
// over it are taken over as they stand, many at a time, so that a series that
// leaves a thousand costs little more than a copy of the template. After an error
// the stencil is of no use.
func (c *Cutter) Narrow(s *Stencil, row *kinglet.Row) error {
	if len(row.Values) != s.columns || s.sizes == nil {
		return errors.New("narrow a stencil: the row does not fit it")
	}
	c.begin()
	n := &narrower{room: c.room, s: s, rawLen: s.rawLen, gaps: c.gaps[:0], lost: c.lost[:0], stamps: c.stamps[:0]}
	defer func() { c.gaps, c.lost, c.literal, c.stamps = n.gaps, n.lost, n.literal, n.stamps }()
	n.literal = c.literal[:0]
	n.leave(row)
	switch {
	case len(n.gaps) == 0:
		return nil
	case s.live == 0:
		return errors.New("narrow a stencil: no series stays")
	}
	return n.walk()
}

// narrower copies a stream of elements without the series that leave.
type narrower struct {
	room   *room
	s      *Stencil
	rawLen int     // of the message without what leaves
	gaps   []gap   // what leaves, in order
	lost   []span  // what stood there, in order
	stamps []stamp // where the row's timestamp lands

	stream  []byte
	written int // raw bytes that stream and what waits decode to

	// What waits to be written: pieces of one literal, or one copy.
	literal          []piece
	length           int // of the literal
	copyFrom, copied int // offset and length of the copy

	// How far the stencil's places were taken over, which come in order.
	holed, timed, stamped int
}

// gap is a run of raw bytes that leaves, and how many left before it.
type gap struct{ from, to, before int }

// span is a run of raw bytes in a gap: a literal, or a copy.
type span struct {
	raw, n  int
	literal bool
	from    int // where the bytes stand: in the stream, or in the raw message
}

// piece is a run of literal bytes of the old stream. It is lost if it stood in a
// series that leaves, and is written for one that copied it.
type piece struct {
	at, n int
	lost  bool
}

// leave finds what leaves.
func (n *narrower) leave(row *kinglet.Row) {
	s := n.s
	raw, before := 0, 0
	for i, size := range s.sizes {
		if size == 0 {
			continue
		}
		if kinglet.IsAbsent(row.Values[i]) {
			if last := len(n.gaps) - 1; last >= 0 && n.gaps[last].to == raw {
				n.gaps[last].to += int(size)
			} else {
				n.gaps = append(n.gaps, gap{raw, raw + int(size), before})
			}
			before += int(size)
			s.last[i], s.holes[i] = kinglet.AbsentBits, baked
			if s.times != nil {
				s.times[i] = 0
			}
			s.live--
		}
		raw += int(size)
	}
	n.rawLen -= before
}

// walk writes the stream of the series that stay.
func (n *narrower) walk() error {
	s := n.s
	n.stream = binary.AppendUvarint(n.room.trimmed[:0], uint64(n.rawLen))
	start := len(n.stream)
	at, stop := s.start, len(s.stream)-slack
	from, fromRaw := at, 0 // elements from here on are taken over as they stand
	raw, behind := 0, 0    // the end of the last gap
	next := 0              // the gap in front
	for at < stop {
		var length, offset, size int
		switch tag := s.stream[at]; { // as element does, which is slower; there are four bytes behind the tag
		case tag&3 == tagCopy2:
			length, offset, size = 1+int(tag>>2), int(s.stream[at+1])|int(s.stream[at+2])<<8, 3
		case tag&3 == tagCopy1:
			length, offset, size = 4+int(tag>>2)&7, int(tag&0xe0)<<3|int(s.stream[at+1]), 2
		case tag < 60<<2 && tag&3 == tagLiteral:
			length, size = 1+int(tag>>2), 2+int(tag>>2)
		default:
			length, offset, size = element(s.stream[at:stop])
		}
		if size == 0 || at+size > stop || offset > raw || raw+length > s.rawLen {
			return errElements
		}
		if next == len(n.gaps) || raw+length <= n.gaps[next].from {
			if offset == 0 || raw-offset >= behind || n.reaches(at, raw-offset, length, next) {
				at += size
				raw += length
				continue
			}
		}
		n.keep(from, at, raw-fromRaw)
		at += size
		for literal := at - length; length > 0; {
			run, leaves := length, false
			if next < len(n.gaps) {
				if leaves = raw >= n.gaps[next].from; leaves {
					run = min(run, n.gaps[next].to-raw)
				} else {
					run = min(run, n.gaps[next].from-raw)
				}
			}
			switch {
			case leaves && offset == 0:
				n.lost = append(n.lost, span{raw, run, true, literal})
			case leaves:
				n.lost = append(n.lost, span{raw, run, false, raw - offset})
			case offset == 0:
				n.putLiteral(piece{literal, run, false})
			default:
				n.putCopy(raw-offset, run)
			}
			raw += run
			literal += run
			length -= run
			if next < len(n.gaps) && raw == n.gaps[next].to {
				behind = raw
				next++
			}
		}
		from, fromRaw = at, raw
	}
	n.keep(from, at, raw-fromRaw)
	n.room.trimmed = n.stream
	if raw != s.rawLen || n.written != n.rawLen {
		return errElements
	}
	n.settle(start)
	return nil
}

// reaches reports whether a copy, which reaches back over gaps, comes from bytes
// that all stay; next is the gap in front. The element is made one over what is
// left: its offset can only shrink, so that it stays as long as it is.
func (n *narrower) reaches(at, from, length, next int) bool {
	i := next - 1
	for i > 0 && from < n.gaps[i-1].to {
		i--
	}
	// Gap i is the first that ends behind the beginning of the bytes.
	if from+length > n.gaps[i].from {
		return false
	}
	last := n.gaps[next-1]
	less := last.before + last.to - last.from - n.gaps[i].before
	element := n.s.stream[at:]
	switch element[0] & 3 {
	case tagCopy1:
		offset := int(element[0]&0xe0)<<3 | int(element[1])
		offset -= less
		element[0] = element[0]&0x1f | byte(offset>>8)<<5
		element[1] = byte(offset)
	case tagCopy2:
		binary.LittleEndian.PutUint16(element[1:], binary.LittleEndian.Uint16(element[1:])-uint16(less))
	default:
		binary.LittleEndian.PutUint32(element[1:], binary.LittleEndian.Uint32(element[1:])-uint32(less))
	}
	return true
}

// keep takes over the elements of the stream from there to there, which decode to
// that many bytes.
func (n *narrower) keep(from, to, raw int) {
	n.flush()
	if from == to {
		return
	}
	n.move(from, to, len(n.stream))
	n.stream = append(n.stream, n.s.stream[from:to]...)
	n.written += raw
}

// settle makes the stencil that of the new stream.
func (n *narrower) settle(start int) {
	s := n.s
	for i := range s.sizes {
		if s.last[i] == kinglet.AbsentBits {
			s.sizes[i] = 0
		}
	}
	if need := len(n.stream) + slack; cap(s.stream) < need || cap(s.stream) > need+need/4 {
		s.stream = make([]byte, 0, need+need/16)
	}
	s.stream = append(s.stream[:0], n.stream...)
	s.stream = s.stream[:len(n.stream)+slack]
	s.stamps = append(s.stamps[:0], n.stamps...)
	s.start, s.rawLen = start, n.rawLen
}

// putCopy copies length bytes that stood at from in the old message.
func (n *narrower) putCopy(from, length int) {
	for length > 0 {
		i := sort.Search(len(n.gaps), func(i int) bool { return n.gaps[i].from > from }) - 1
		run := length
		if i+1 < len(n.gaps) {
			run = min(run, n.gaps[i+1].from-from)
		}
		switch {
		case i >= 0 && from < n.gaps[i].to:
			run = n.putLost(from, length)
		case i >= 0:
			n.copyBack(n.written-(from-n.gaps[i].before-(n.gaps[i].to-n.gaps[i].from)), run)
		default:
			n.copyBack(n.written-from, run)
		}
		from += run
		length -= run
	}
}

// putLost puts bytes that stood at from in a gap: length of them at most. It
// returns how many.
func (n *narrower) putLost(from, length int) int {
	i := sort.Search(len(n.lost), func(i int) bool { return n.lost[i].raw > from }) - 1
	s := n.lost[i]
	skip := from - s.raw
	run := min(length, s.n-skip)
	if s.literal {
		n.putLiteral(piece{s.from + skip, run, true})
	} else {
		n.putCopy(s.from+skip, run) // further in front, so that this ends
	}
	return run
}

func (n *narrower) putLiteral(p piece) {
	if n.copied > 0 {
		n.flush()
	}
	n.literal = append(n.literal, p)
	n.length += p.n
	n.written += p.n
}

// copyBack copies from so many bytes before.
func (n *narrower) copyBack(offset, length int) {
	if n.length > 0 || n.copied > 0 && n.copyFrom != offset {
		n.flush()
	}
	n.copyFrom = offset
	n.copied += length
	n.written += length
}

// flush writes what waits, and notes where holes and timestamps land.
func (n *narrower) flush() {
	if n.copied > 0 {
		n.stream = appendCopy(n.stream, n.copyFrom, n.copied)
		n.copied = 0
	}
	if n.length == 0 {
		return
	}
	n.stream = appendLiteralTag(n.stream, n.length)
	for _, p := range n.literal {
		if p.lost {
			n.moveLost(p, len(n.stream))
		} else {
			n.move(p.at, p.at+p.n, len(n.stream))
		}
		n.stream = append(n.stream, n.s.stream[p.at:p.at+p.n]...)
	}
	n.literal, n.length = n.literal[:0], 0
}

// move notes where the places in a run of the old stream land, which is written
// at to. Runs come in order, and no value or timestamp is split by their ends.
func (n *narrower) move(from, end, to int) {
	s := n.s
	for ; n.holed < s.columns; n.holed++ {
		h := s.holes[n.holed]
		if h == baked {
			continue
		}
		if int(h.at()) >= end {
			break
		}
		s.holes[n.holed] = hole(h.shift())<<shiftBit | hole(int(h.at())-from+to)
	}
	if s.times != nil {
		for ; n.timed < s.columns && int(s.times[n.timed]) < end; n.timed++ {
			if s.times[n.timed] != 0 {
				s.times[n.timed] = uint32(int(s.times[n.timed]) - from + to)
			}
		}
	}
	for ; n.stamped < len(s.stamps) && int(s.stamps[n.stamped].at) < end; n.stamped++ {
		if p := s.stamps[n.stamped]; int(p.at) >= from { // else it stood in a series that leaves
			n.stamps = append(n.stamps, stamp{at: uint32(int(p.at) - from + to), byte: p.byte})
		}
	}
}

// moveLost notes the bytes of the row's timestamp in a piece written at to. It
// stood in a series that leaves, further in front.
func (n *narrower) moveLost(p piece, to int) {
	stamps := n.s.stamps
	for _, s := range stamps[sort.Search(len(stamps), func(i int) bool { return int(stamps[i].at) >= p.at }):] {
		if int(s.at) >= p.at+p.n {
			break
		}
		n.stamps = append(n.stamps, stamp{at: uint32(int(s.at) - p.at + to), byte: s.byte})
	}
}
