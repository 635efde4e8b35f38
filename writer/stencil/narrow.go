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
// or becomes a literal. That costs a walk over the elements, some tenth of
// encoding the row plainly. After an error the stencil is of no use.
func (c *Cutter) Narrow(s *Stencil, row *kinglet.Row) error {
	if len(row.Values) != s.columns || s.sizes == nil {
		return errors.New("narrow a stencil: the row does not fit it")
	}
	c.begin()
	n := &narrower{room: c.room, s: s, rawLen: s.rawLen, gaps: c.gaps[:0], lost: c.lost[:0], holed: -1, stamps: c.stamps[:0]}
	defer func() { c.gaps, c.lost, c.literal, c.stamps = n.gaps, n.lost, n.literal, n.stamps }()
	n.literal = c.literal[:0]
	n.leave(row)
	if s.live == 0 {
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
	holed            int // the column whose holes are noted, as they were:
	hole             hole
	time             int
	passed           int // stamps before the last literal of a series that stays
	copyFrom, copied int // offset and length of the copy
}

// gap is a run of raw bytes that leaves, and how many left before it.
type gap struct{ from, to, before int }

// span is a run of raw bytes in a gap: a literal, or a copy.
type span struct {
	raw, n  int
	literal bool
	from    int // where the bytes stand: in the stream, or in the raw message
}

// piece is a run of literal bytes of the old stream, of a column's series, or -1
// if it stood in one that leaves.
type piece struct{ at, n, column int }

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
	raw, column, end, stays := 0, -1, 0, false // the column's series ends there
	at := s.start
	ahead := 0 // the gap in front
	for stop := len(s.stream) - slack; at < stop; {
		length, offset, size := element(s.stream[at:stop])
		if size == 0 || at+size > stop || offset > raw || raw+length > s.rawLen {
			return errElements
		}
		at += size
		for ahead < len(n.gaps) && n.gaps[ahead].to <= raw {
			ahead++
		}
		if offset != 0 && (ahead == 0 || raw-offset >= n.gaps[ahead-1].to) && (ahead == len(n.gaps) || raw+length <= n.gaps[ahead].from) {
			n.copyBack(offset, length) // as nearly all: no gap between here and there
			raw += length
			continue
		}
		for literal := at - length; length > 0; {
			for raw >= end {
				column++
				end += int(s.sizes[column])
				stays = s.last[column] != kinglet.AbsentBits
			}
			run := min(length, end-raw)
			switch {
			case !stays && offset == 0:
				n.lost = append(n.lost, span{raw, run, true, literal})
			case !stays:
				n.lost = append(n.lost, span{raw, run, false, raw - offset})
			case offset == 0:
				n.putLiteral(piece{literal, run, column})
			default:
				n.putCopy(raw-offset, run)
			}
			raw += run
			literal += run
			length -= run
		}
	}
	n.flush()
	n.room.trimmed = n.stream
	if raw != s.rawLen || n.written != n.rawLen {
		return errElements
	}
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
	return nil
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
		n.putLiteral(piece{s.from + skip, run, -1})
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
		to := len(n.stream)
		n.stream = append(n.stream, n.s.stream[p.at:p.at+p.n]...)
		n.moveStamps(p, to)
		if p.column < 0 {
			continue
		}
		n.moveHoles(p, to)
	}
	n.literal, n.length = n.literal[:0], 0
}

// moveHoles notes the holes of a column in a piece written at to. The column is
// in several pieces, and what was moved must not be taken for what was not.
func (n *narrower) moveHoles(p piece, to int) {
	s := n.s
	if n.holed != p.column {
		n.holed = p.column
		n.hole, n.time = s.holes[p.column], 0
		if s.times != nil {
			n.time = int(s.times[p.column])
		}
	}
	if at := int(n.hole.at()); n.hole != baked && at >= p.at && at < p.at+p.n {
		s.holes[p.column] = hole(n.hole.shift())<<shiftBit | hole(at-p.at+to)
	}
	if n.time != 0 && n.time >= p.at && n.time < p.at+p.n {
		s.times[p.column] = uint32(n.time - p.at + to)
	}
}

// moveStamps notes the bytes of the row's timestamp in a piece written at to.
func (n *narrower) moveStamps(p piece, to int) {
	stamps := n.s.stamps
	if p.column >= 0 { // such pieces come in order
		for n.passed < len(stamps) && int(stamps[n.passed].at) < p.at {
			n.passed++
		}
		stamps = stamps[n.passed:]
	} else {
		stamps = stamps[sort.Search(len(stamps), func(i int) bool { return int(stamps[i].at) >= p.at }):]
	}
	for _, s := range stamps {
		if int(s.at) >= p.at+p.n {
			break
		}
		n.stamps = append(n.stamps, stamp{at: uint32(int(s.at) - p.at + to), byte: s.byte})
	}
}
