package writer

import (
	"log/slog"
	"math"
	"slices"

	"kinglet"
	"kinglet/writer/queue"
	"kinglet/writer/stencil"
)

// When a shape gets its stencil, and a new one.
const (
	// rowsBeforeCut rows of a shape are encoded plainly: many a shape does not
	// live longer, and cutting costs as much as encoding a few rows.
	rowsBeforeCut = 2
	// settledRows is how long a stencil is filled before what never moved is
	// baked and matches are looked for with care, which costs some ten times as
	// much as encoding a row plainly: five minutes of scrapes every 15 s.
	settledRows = 20
	// window is the number of rows after which values that stood still all the
	// while are baked again, if there are enough of them: an hour of scrapes
	// every 15 s, so that what moves now and then keeps its hole.
	window = 240
	// settleAtOnce columns, and those of the stencil that has the last of them, may
	// settle in a push: it takes 5 to 10 µs each, and the others wait meanwhile.
	settleAtOnce = 2000
	// rowsBeforeReturn rows in which a series that left the stencil is back are
	// encoded plainly: on some pages series come and go all the time.
	rowsBeforeReturn = 8
)

// maxStencil is the decoded length in bytes of the largest block that a stencil
// gives. A block is never split before it is in a queue, and one of a thousand
// series with very long labels would not fit there: the plain encoder makes
// several of such a row.
const maxStencil = 4 << 20

// plate is a shape's stencil, or what is known on the way to it. It is kept
// with the shape and belongs to the encoding goroutine.
type plate struct {
	stencil *stencil.Stencil

	rows    int  // seen before the first cut
	back    int  // rows with a series that had left, since the last cut for that
	settled bool // what never moved is baked, and it was cut with care
	leaving bool // series left it in this window
	broken  bool // cutting failed, which is a bug, or gave too large a block: never tried again
}

// plates makes blocks of rows by filling stencils.
type plates struct {
	cutter   stencil.Cutter
	settling int // columns of stencils that settled in this push
	lender   queue.Lender
	metrics  *metrics
	log      *slog.Logger
}

// begin begins a push.
func (p *plates) begin() {
	p.settling = 0
	p.cutter.Rest()
}

// fill gives row as a block whose lease is the caller's, or says that it has to be
// encoded plainly. The row holds no stale marker and is only read.
func (p *plates) fill(row *kinglet.Row) (queue.Block, bool) {
	if !stencil.Fits(row) {
		return queue.Block{}, false
	}
	kept := attachedTo(row.Shape)
	if kept.plate == nil {
		kept.plate = &plate{}
	}
	plate := kept.plate
	switch {
	case plate.broken:
		return queue.Block{}, false
	case plate.stencil == nil:
		if plate.rows++; plate.rows <= rowsBeforeCut {
			return queue.Block{}, false
		}
		p.replace(plate, "new", func() (*stencil.Stencil, error) { return p.cutter.Cut(row, everyColumn) })
	case plate.due() && p.settling < settleAtOnce:
		if gone, back := plate.stencil.Compare(row); gone+back == 0 || p.follow(plate, row) {
			p.settle(plate, row)
		}
	}
	return p.block(plate, row)
}

// markerRoom tells for which columns a stale marker of row can be filled in: those
// whose values move, and had no zero bytes that are part of the stencil. The
// series is in the message for a last time then. A row of a target that is down
// leaves the stencil as it was.
func (p *plates) markerRoom(row *kinglet.Row) func(column int) bool {
	plate := attachedTo(row.Shape).plate
	if plate == nil || plate.stencil == nil || !slices.ContainsFunc(row.Values, goesOn) {
		return noRoom
	}
	return plate.stencil.TakesAny
}

func goesOn(v float64) bool { return !kinglet.IsAbsent(v) && !kinglet.IsStale(v) }

// due reports whether the stencil's window is over.
func (p *plate) due() bool {
	if p.settled {
		return p.stencil.Rows() >= window
	}
	return p.stencil.Rows() >= settledRows
}

// follow makes the plate's stencil one of the series that row has values for. It
// reports false if it was, or is not for the moment.
func (p *plates) follow(plate *plate, row *kinglet.Row) bool {
	s := plate.stencil
	switch gone, back := s.Compare(row); {
	case back > 0 || gone > 0 && !s.CanNarrow():
		if plate.back++; plate.back <= rowsBeforeReturn {
			return false
		}
		plate.back = 0
		moves := func(i int) bool { return s.Moves(i) || !s.Has(i) }
		p.replace(plate, "back", func() (*stencil.Stencil, error) { return p.cutter.Cut(row, moves) })
	case gone > 0:
		plate.leaving = true
		p.replace(plate, "gone", func() (*stencil.Stencil, error) { return s, p.cutter.Narrow(s, row) })
	default:
		return false
	}
	return !plate.broken
}

// settle ends a stencil's window, and cuts it again with care where that pays.
func (p *plates) settle(plate *plate, row *kinglet.Row) {
	again := p.cutter.Recut
	switch {
	case plate.stencil.Wasteful():
		again = p.cutter.Rebake
	case plate.settled:
		return
	}
	plate.settled = true
	p.settling += row.Shape.Len()
	// A shape that series leave does not live as long as the work takes to pay.
	p.cutter.Thorough = !plate.leaving
	plate.leaving = false
	p.replace(plate, "settled", func() (*stencil.Stencil, error) { return again(plate.stencil, row) })
	p.cutter.Thorough = false
}

// block fills the plate's stencil, which follows the row if series are gone or
// back, and is widened if a value moved that never had.
func (p *plates) block(plate *plate, row *kinglet.Row) (queue.Block, bool) {
	if plate.broken {
		return queue.Block{}, false
	}
	lease, stream, ok := p.filled(plate, row)
	for tries := 0; !ok && tries < 2; tries++ { // series left, and then a value moved
		if gone, back := plate.stencil.Compare(row); gone+back == 0 {
			p.replace(plate, "moved", func() (*stencil.Stencil, error) { return p.cutter.Widen(plate.stencil, row) })
		} else if !p.follow(plate, row) {
			return queue.Block{}, false
		}
		if plate.broken {
			return queue.Block{}, false
		}
		lease, stream, ok = p.filled(plate, row)
	}
	if !ok {
		return queue.Block{}, false
	}
	b := queue.Block{
		Stream: stream, Lease: lease, RawLen: plate.stencil.RawLen(), Samples: plate.stencil.Samples(),
		Target: row.Target, RowMs: row.TimestampMs, MinMs: row.TimestampMs, MaxMs: row.TimestampMs,
	}
	if row.TimesMs != nil {
		b.MinMs, b.MaxMs = timeRange(row)
	}
	p.metrics.filled.Add(float64(b.Samples))
	return b, true
}

// filled is row in the plate's stencil, in borrowed memory.
func (p *plates) filled(plate *plate, row *kinglet.Row) (lease *queue.Lease, stream []byte, ok bool) {
	lease = p.lender.Lend(plate.stencil.Size())
	if stream, ok = plate.stencil.Fill(lease.Memory(), row); !ok {
		lease.Done()
	}
	return lease, stream, ok
}

// replace puts a stencil cut anew in the place of the plate's. A cut that fails
// is a bug of ours that costs speed alone: the plain encoder goes on.
func (p *plates) replace(plate *plate, why string, cut func() (*stencil.Stencil, error)) {
	s, err := cut()
	if err != nil {
		plate.broken, plate.stencil = true, nil
		p.log.Error("a shape cannot be cut into a stencil and is encoded plainly; please report this", "error", err)
		return
	}
	if s.RawLen() > maxStencil {
		plate.broken, plate.stencil = true, nil
		return
	}
	plate.stencil = s
	p.metrics.cuts.WithLabelValues(why).Inc()
}

// everyColumn gets a hole in a shape's first stencil: what moves and what does
// not shows in the rows to come.
func everyColumn(int) bool { return true }

func timeRange(row *kinglet.Row) (minMs, maxMs int64) {
	minMs, maxMs = math.MaxInt64, math.MinInt64
	for _, t := range row.TimesMs {
		if t == kinglet.NoTime {
			t = row.TimestampMs
		}
		minMs, maxMs = min(minMs, t), max(maxMs, t)
	}
	return minMs, maxMs
}

// hasStale reports whether a row holds a stale marker.
func hasStale(row *kinglet.Row) bool {
	for _, v := range row.Values { // for every sample there is
		if kinglet.IsStale(v) {
			return true
		}
	}
	return false
}
