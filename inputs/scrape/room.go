package scrape

import (
	"sync"

	"kinglet"
)

// room is the memory that a page takes which is not the one before it: for its
// lines, its fresh series, and what becomes of the columns. It is used again by
// the next such page, of any target, as on most nodes some series come and go in
// every scrape. Nothing of a room is kept in a layout or a row.
type room struct {
	labels   kinglet.LabelRoom
	arena    arena
	next     []line
	lines    []int32  // slots of the index of lines
	byLabel  []int32  // and of that of label sets
	lineBits []uint64 // of their sketches
	setBits  []uint64
	fresh    []freshSeries

	remap  []int32
	gone   []bool
	sets   []uint64
	ended  []bool
	merged []column // those of the fresh part
	spare  []column // on the way there
	again  []column // those of a part that is remade
	series []kinglet.EncodedSeries
}

// Bounds of a room that is kept: a node's largest page has some 50,000 lines,
// and few of them are new but the first time.
const (
	roomLines   = 1 << 16
	roomColumns = 1 << 12
)

// empty lets go of what the room refers to, and of memory that is seldom needed.
func (r *room) empty() {
	if cap(r.fresh) > roomColumns || cap(r.merged) > roomColumns {
		r.fresh, r.merged, r.spare = nil, nil, nil
	}
	clear(r.fresh[:cap(r.fresh)])
	clear(r.merged[:cap(r.merged)])
	clear(r.spare[:cap(r.spare)])
	clear(r.again[:cap(r.again)])
	clear(r.series[:cap(r.series)])
	r.arena.piece = r.arena.piece[:0]
}

// rooms is a free list of rooms, which the targets of a manager share. The zero
// value is ready.
type rooms struct {
	mu    sync.Mutex
	free  []*room
	quiet int // pages without need of a room since the last one with
}

const (
	mostRooms  = 1   // that wait: pages are read one at a time, nearly always
	quietPages = 256 // without need of a room let them all go
)

// get lends a room.
func (r *rooms) get() *room {
	if r == nil {
		return new(room)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.quiet = 0
	if n := len(r.free); n > 0 {
		lent := r.free[n-1]
		r.free = r.free[:n-1]
		return lent
	}
	return new(room)
}

// put takes a room back, or nil from a page that needed none.
func (r *rooms) put(back *room) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case back == nil:
		if r.quiet++; r.quiet == quietPages {
			r.free = nil
		}
	case len(r.free) < mostRooms && cap(back.next) <= roomLines:
		back.empty()
		r.free = append(r.free, back)
	}
}

// need provides the walk's room.
func (w *walk) need() *room {
	if w.room == nil {
		w.room = w.l.rooms.get()
		w.fresh = w.room.fresh[:0]
	}
	return w.room
}

// done gives back the room, with the memory that has grown. The walk is of no
// use any more, but for its counts.
func (w *walk) done() {
	if r := w.room; r != nil {
		r.fresh = w.fresh
		if w.next != nil {
			r.next = w.next
		}
		r.lines, r.lineBits = w.lines.memory(r.lines, r.lineBits)
		r.byLabel, r.setBits = w.sets.memory(r.byLabel, r.setBits)
	}
	w.l.rooms.put(w.room)
	w.room = nil
}

// copied is from in the memory of to, or in memory that is some larger than
// needed, for what comes next.
func copied[T any](to, from []T) []T {
	if cap(to) < len(from) || cap(to) > len(from)+len(from)/4+16 {
		to = make([]T, 0, len(from)+len(from)/32)
	}
	return append(to[:0], from...)
}

// sized is s with n elements, of which nothing is known.
func sized[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n, n+n/8)
	}
	return s[:n]
}
