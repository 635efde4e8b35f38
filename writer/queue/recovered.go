package queue

import "iter"

// Recovered gives the newest records that were in the log when it was opened,
// oldest first: what waits and what was acknowledged, of the last 8 MiB and of
// no more than retainFor before the end, whichever is less; see Target and RowMs
// of each block for whose it is. A row may be several blocks. Damaged records,
// and files that cannot be read, are left out.
//
// It reads from disk while it is ranged over, and is for the start: what was
// acknowledged is removed as new segments come. It may be called beside all other
// methods.
func (l *Log) Recovered() iter.Seq[Block] {
	l.mu.Lock()
	tail := l.tail
	l.mu.Unlock()
	return func(yield func(Block) bool) {
		for _, b := range tail {
			if !l.recover(b, yield) {
				return
			}
		}
	}
}

// recover gives the records of one segment, and reports whether more are wanted.
func (l *Log) recover(of bounds, yield func(Block) bool) bool {
	name := segmentName(l.cfg.Dir, of.from)
	size, err := l.cfg.files.Size(name)
	if err != nil {
		return true
	}
	f, err := l.cfg.files.Open(name, false)
	if err != nil {
		return true
	}
	defer f.Close()
	streams := window{file: f, size: readAhead}
	more := true
	s := segment{first: of.from}
	_, _ = s.scan(f, size, of.to, func(h *header, at int64) { // what cannot be read is told by the reader
		if !more {
			return
		}
		stream, err := streams.peek(at+headerSize, h.length, size)
		if err != nil || !h.sound(stream) {
			return
		}
		b := h.block
		b.Stream = stream
		more = yield(b)
	})
	return more
}
