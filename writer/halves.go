package writer

import "kinglet"

// halves is a row with stale markers in two: what goes on, and what ends. They
// share all but the values with the row. A marker for which there is room where
// the row's values go is with these.
type halves struct {
	goesOn, ends kinglet.Row
	markers      int // in ends
}

// split makes h the halves of row.
func (h *halves) split(row *kinglet.Row, room func(column int) bool) {
	goesOn, ends := h.goesOn.Values[:0], h.ends.Values[:0]
	h.markers = 0
	for i, v := range row.Values {
		if kinglet.IsStale(v) && !room(i) {
			h.markers++
			goesOn, ends = append(goesOn, kinglet.Absent()), append(ends, v)
		} else {
			goesOn, ends = append(goesOn, v), append(ends, kinglet.Absent())
		}
	}
	h.goesOn, h.ends = *row, *row
	h.goesOn.Values, h.ends.Values = goesOn, ends
}

// noRoom is that of all markers for endpoints some of which want none.
func noRoom(int) bool { return false }

// idleEncodes in a row without a stale marker let the memory of halves go.
const idleEncodes = 64

// splitter gives halves whose memory is used again. It belongs to one goroutine.
type splitter struct {
	made       []*halves
	used, idle int
}

// begin ends the use of all halves that were given.
func (s *splitter) begin() {
	if s.used > 0 {
		s.used, s.idle = 0, 0
	} else if s.idle++; s.idle == idleEncodes {
		s.made = nil
	}
}

// split gives row's halves, which are valid until begin.
func (s *splitter) split(row *kinglet.Row, room func(column int) bool) *halves {
	if s.used == len(s.made) {
		s.made = append(s.made, new(halves))
	}
	h := s.made[s.used]
	s.used++
	h.split(row, room)
	return h
}
