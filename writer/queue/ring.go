package queue

// entry is a block on its way through a log.
type entry struct {
	Block
	seq     uint64
	segment *segment // nil while it is in memory only
	end     int64    // where its record ends in the segment
	held    bool     // fetched by a span, and not acknowledged
	leased  bool     // it is a holder of the block's lease
}

// lease keeps the block's memory for the entry.
func (e *entry) lease() {
	e.Lease.Hold()
	e.leased = true
}

// letGo ends that: nobody reads the stream of the entry any more.
func (e *entry) letGo() {
	if e.leased {
		e.leased = false
		e.Lease.Done()
	}
}

// onDisk reports whether the entry survives the process.
func (e *entry) onDisk() bool { return e.segment != nil }

// ring is the newest entries of a log, by sequence number. An entry that is
// done leaves a hole.
type ring struct {
	from    uint64 // sequence number of entries[head]
	head    int
	entries []*entry // nil is a hole
	bytes   int      // of live entries, with what they weigh beside their streams
}

// entryOverhead is what an entry weighs in memory beside its stream.
const entryOverhead = blockOverhead + 48

func (e *entry) weight() int { return len(e.Stream) + entryOverhead }

func (r *ring) len() int { return len(r.entries) - r.head }

// push adds the entry that follows the newest.
func (r *ring) push(e *entry) {
	if r.len() == 0 {
		clear(r.entries)
		r.entries, r.head, r.from = r.entries[:0], 0, e.seq
	}
	r.entries = append(r.entries, e)
	r.bytes += e.weight()
}

// end is the number behind the newest entry.
func (r *ring) end() uint64 { return r.from + uint64(r.len()) }

// find is the entry of that number; in says whether the ring knows of it at all:
// a nil entry that is in it is done.
func (r *ring) find(seq uint64) (e *entry, in bool) {
	if seq < r.from || seq-r.from >= uint64(r.len()) {
		return nil, false
	}
	return r.entries[r.head+int(seq-r.from)], true
}

// remove makes a hole where seq is, if it is there.
func (r *ring) remove(seq uint64) {
	if e, in := r.find(seq); in && e != nil {
		r.bytes -= e.weight()
		r.entries[r.head+int(seq-r.from)] = nil
		if !e.held {
			e.letGo()
		}
		r.trim()
	}
}

// trim cuts holes off the front.
func (r *ring) trim() {
	for r.len() > 0 && r.entries[r.head] == nil {
		r.head++
		r.from++
	}
	r.compact()
}

// shed lets go of entries at the front that are on disk, until limit bytes are left.
func (r *ring) shed(limit int) {
	for r.bytes > limit && r.len() > 0 {
		if e := r.entries[r.head]; e != nil {
			if !e.onDisk() {
				return
			}
			r.bytes -= e.weight()
			r.entries[r.head] = nil
			if !e.held {
				e.letGo()
			}
		}
		r.head++
		r.from++
	}
	r.trim()
}

func (r *ring) compact() {
	switch {
	case r.len() == 0 && cap(r.entries) > 1024:
		r.entries, r.head = nil, 0 // an outage is over
	case r.head > 64 && r.head > len(r.entries)/2:
		n := copy(r.entries, r.entries[r.head:])
		clear(r.entries[n:])
		r.entries, r.head = r.entries[:n], 0
	}
}

// live goes through the entries that are not done, oldest first.
func (r *ring) live(yield func(*entry) bool) {
	for _, e := range r.entries[r.head:] {
		if e != nil && !yield(e) {
			return
		}
	}
}
