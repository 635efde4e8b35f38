package writer

import (
	"hash/maphash"
	"time"

	"kinglet"
	"kinglet/writer/queue"
	"kinglet/writer/remotewrite"
)

// former is a target of the process before, with the series that were alive when
// that ended.
type former struct {
	parts    []formerPart
	newestMs int64         // timestamp of its last row
	interval time.Duration // between its last two rows; 0 if there was one
}

// formerPart is some series of a target, in the form that takes the least memory.
type formerPart struct {
	shape   *kinglet.Shape
	markers []*kinglet.Histogram // nil, or by column the stale marker where it is not the usual one
}

func (f *former) series() (n int) {
	for _, p := range f.parts {
		n += p.shape.Len()
	}
	return n
}

// keepFor is how old the last row of a target may be for its series to be ended:
// those of older ones have ended by themselves, as queries do not look further
// back than five minutes.
const keepFor = 10 * time.Minute

// formers reads from a log what was alive when the process before ended: of the
// last two rows of each target, what no stale marker follows. The last row alone
// would do if it were known to be whole; but the process may have been killed
// between two of its blocks. Series with timestamps of their own are left out,
// as they end without a marker (RW-51).
func formers(l *queue.Log, seed maphash.Seed, now time.Time) map[uint64]*former {
	f := reading{log: l, seed: seed, rows: map[uint64]*lastRows{}}
	for b := range l.Recovered() {
		f.note(b)
	}
	for target, r := range f.rows {
		if age := now.Sub(time.UnixMilli(r.newest)); age > keepFor || age < -keepFor { // the clock was set
			delete(f.rows, target)
		}
	}
	if len(f.rows) == 0 {
		return nil
	}
	f.alive = map[uint64]uint64{}
	f.fold()
	return f.collect()
}

// reading is formers at work. It goes through the log three times, which costs
// little, and holds no label text meanwhile.
type reading struct {
	log      *queue.Log
	seed     maphash.Seed
	rereader remotewrite.Rereader
	rows     map[uint64]*lastRows // by target
	alive    map[uint64]uint64    // by hash of its labels, the target that a series is of
}

// lastRows are the timestamps of a target's last rows, as they were appended.
type lastRows struct{ newest, before int64 }

func (r *reading) note(b queue.Block) {
	if b.Target == 0 {
		return
	}
	switch last := r.rows[b.Target]; {
	case last == nil:
		r.rows[b.Target] = &lastRows{b.RowMs, b.RowMs}
	case last.newest != b.RowMs:
		last.newest, last.before = b.RowMs, last.newest
	}
}

// blocks calls visit with each block of a last row, in order.
func (r *reading) blocks(visit func(queue.Block)) {
	for b := range r.log.Recovered() {
		if last := r.rows[b.Target]; last != nil && (b.RowMs == last.newest || b.RowMs == last.before) {
			visit(b)
		}
	}
}

// series calls visit with each series of a block.
func (r *reading) series(b queue.Block, visit func(hash uint64, last remotewrite.Last)) {
	// What cannot be read is told by the sender, and is not ended.
	_ = r.rereader.Each(b, func(last remotewrite.Last) { visit(maphash.Bytes(r.seed, last.Labels), last) })
}

// fold finds out what is alive in the end.
func (r *reading) fold() {
	r.blocks(func(b queue.Block) {
		r.series(b, func(hash uint64, last remotewrite.Last) {
			switch {
			case !last.Stale && last.AtMs == b.RowMs:
				r.alive[hash] = b.Target
			case r.alive[hash] == b.Target:
				delete(r.alive, hash)
			}
		})
	})
}

// collect gives what is alive by target.
func (r *reading) collect() map[uint64]*former {
	all := map[uint64]*former{}
	var (
		series  []kinglet.EncodedSeries
		markers []*kinglet.Histogram
		room    kinglet.LabelRoom
	)
	r.blocks(func(b queue.Block) {
		series, markers = series[:0], markers[:0]
		typed := false
		r.series(b, func(hash uint64, last remotewrite.Last) {
			if target, ok := r.alive[hash]; !ok || target != b.Target {
				return
			}
			delete(r.alive, hash)
			series = append(series, kinglet.EncodedSeries{Labels: last.Labels, Kind: last.Kind})
			markers = append(markers, last.Marker)
			typed = typed || last.Marker != nil
		})
		if len(series) == 0 {
			return
		}
		f := all[b.Target]
		if f == nil {
			rows := r.rows[b.Target]
			f = &former{newestMs: rows.newest, interval: time.Duration(rows.newest-rows.before) * time.Millisecond}
			all[b.Target] = f
		}
		part := formerPart{shape: kinglet.NewShapeFromEncoded(&room, series)}
		if typed {
			part.markers = append(part.markers, markers...)
		}
		f.parts = append(f.parts, part)
	})
	return all
}
