package remotewrite

import (
	"context"
	"math/bits"
	"net/http"
	"time"

	"kinglet/writer/queue"
)

// Prometheus stores nothing of a request that has one sample it does not take.
// So what was refused for its contents goes again in parts: first the earlier half
// of what is known to hold a culprit, and so on, until one block is left, and
// within that one series. What follows it is unknown then and goes as one. That
// takes log2(n) + 2 requests for one culprit among n blocks, keeps the order of
// every series, and never sends the same bytes twice. Targets and series that
// were refused are suspected for a while and cut out first.
const (
	// maxParts bounds the requests that one refused request costs beside itself.
	maxParts = 64
	// maxSpare bounds them for requests that follow each other, and partsPerSecond
	// in the long run. A part counts once, and once more for each slowPart it
	// took, as far as maxSlow: a sender must not fall behind for the sake of a few
	// samples, and so spends half its time on parts at most.
	maxSpare       = 128
	partsPerSecond = 10
	slowPart       = 50 * time.Millisecond
	maxSlow        = 10
	// lastParts are kept for what is left of a request when the rest is spent.
	lastParts = 2
	// After so many requests in a row of which no part was taken, an endpoint
	// refuses everything: it is left alone until it takes a whole request, or for so long.
	maxFruitless   = 3
	indivisibleFor = time.Minute
	// wellFor is how long an endpoint that took something is believed to refuse
	// the contents of a block, and not everything.
	wellFor = time.Minute
	// suspectFor is how long what was refused is suspected, and maxSuspects how
	// many are.
	suspectFor  = 10 * time.Minute
	maxSuspects = 4096
)

// objection is what an endpoint had against a request that it might take in parts.
type objection struct {
	body   Body
	answer Answer
	reason string
	err    error
	plain  bool // it was refused in a better form before
}

// divisible reports whether an answer says that something in a request is not
// taken, and nothing of it was stored. Other statuses speak of where it went and
// by whom; a 2.0 receiver that counts what it wrote has judged every sample, and
// so have those that take the rest.
func divisible(h Habits, answer Answer) bool {
	switch answer.Status {
	case http.StatusBadRequest, http.StatusConflict, http.StatusUnprocessableEntity:
		return !h.TakesRest && !answer.Written.Told
	}
	return false
}

// divider is what is known of an endpoint's refusals, beyond one request. It
// belongs to the sender's goroutine.
type divider struct {
	spare     float64 // parts that may be sent
	refilled  time.Time
	fruitless int       // divisions in a row of which no part was taken
	resting   time.Time // nothing is divided until then
	suspects  map[uint64]suspect
}

// suspect is a target, or within a block a series, that was refused.
type suspect struct {
	until  time.Time
	tested time.Time // when it was last refused alone
	solid  bool      // there is no use in looking inside
}

// refill gives what time has given.
func (v *divider) refill(now time.Time) {
	if v.refilled.IsZero() {
		v.spare = maxSpare
	} else {
		v.spare = min(maxSpare, v.spare+partsPerSecond*max(0, now.Sub(v.refilled).Seconds()))
	}
	v.refilled = now
}

// taken notes that the endpoint took a request or a part. It reports whether
// requests are divided again.
func (v *divider) taken() (again bool) {
	again = !v.resting.IsZero()
	v.fruitless, v.resting = 0, time.Time{}
	return again
}

// suspected is what is held against a target.
func (v *divider) suspected(target uint64) (found suspect, ok bool) {
	found, ok = v.suspects[target]
	return found, ok && time.Now().Before(found.until)
}

// suspect holds against a target that it was refused.
func (v *divider) suspect(target uint64, solid bool) {
	if target == 0 {
		return
	}
	now := time.Now()
	// What is solid is looked into again when that was long ago.
	until := now.Add(suspectFor)
	if old, ok := v.suspected(target); ok && old.solid {
		solid, until = true, old.until
	}
	v.hold(target, suspect{until, now, solid})
}

// hold remembers a suspect. If there are too many, those go that are suspected no
// longer, then any, so that it is not done for each.
func (v *divider) hold(target uint64, s suspect) {
	if v.suspects == nil {
		v.suspects = map[uint64]suspect{}
	}
	if _, known := v.suspects[target]; !known && len(v.suspects) >= maxSuspects {
		v.forget(time.Now())
	}
	v.suspects[target] = s
}

func (v *divider) forget(now time.Time) {
	for target, s := range v.suspects {
		if now.After(s.until) {
			delete(v.suspects, target)
		}
	}
	for target := range v.suspects {
		if len(v.suspects) < maxSuspects/8*7 {
			return
		}
		delete(v.suspects, target)
	}
}

// division is a refused request on its way in parts. The zero division, with its
// divider, is a request that was not refused.
type division struct {
	*divider
	on     bool
	inside bool // its blocks are the series of one block
	plain  bool // parts go as plain 1.0

	left     int // parts that it may send
	used     int
	bad      int  // so many of the blocks that wait hold a culprit; 0: unknown
	refused  bool // those were refused as they are: they are not sent like that again
	row      int  // refusals since something was taken
	patience int  // the most of them
	found    int  // culprits since something was taken
	took     bool // a part was taken
	lost     bool // patience, before all was sent
	probed   bool // a series that was suspected before was sent alone

	last    uint64 // target of the last culprit that could not be looked into
	strikes int    // of its blocks
}

// begin divides a request of blocks, if that is worth while now.
func (d *division) begin(blocks int, plain bool) bool {
	now := time.Now()
	d.refill(now)
	if int(d.spare) < enough(blocks) || now.Before(d.resting) {
		return false
	}
	d.on, d.plain, d.left, d.patience = true, plain, int(min(d.spare, maxParts)), bits.Len(uint(blocks))+6
	return true
}

// enough is how many parts find a culprit among n: with fewer a division is not
// begun.
func enough(n int) int { return min(bits.Len(uint(n))+2+lastParts, maxParts) }

// end notes whether a division was in vain. It reports whether nothing is
// divided for a while for that.
func (d *division) end() (resting bool) {
	if !d.on || d.took {
		return false
	}
	if d.fruitless++; d.fruitless < maxFruitless {
		return false
	}
	resting = d.resting.IsZero()
	d.resting = time.Now().Add(indivisibleFor)
	return resting
}

// spend pays for a part that was sent and took that long.
func (d *division) spend(took time.Duration) {
	if d.on {
		d.left--
		d.used++
		d.spare -= 1 + min(maxSlow, took.Seconds()/slowPart.Seconds())
	}
}

// next is how many of the blocks that wait the next part is made of.
func (d *division) next(blocks []queue.Block) int {
	if d.inside {
		return d.nextSeries(blocks)
	}
	if d.bad == 0 {
		return len(blocks)
	}
	most := d.bad
	if d.refused {
		most--
	}
	if d.left <= lastParts {
		return most
	}
	for i := range d.bad {
		s, suspected := d.suspected(blocks[i].Target)
		switch {
		case !suspected:
		case i > 0:
			return min(i, most)
		case s.solid || d.isSolid(blocks[0].Target):
			return min(run(blocks[:d.bad]), most)
		default:
			return 1
		}
	}
	if d.found > 0 {
		return 1 // culprits come in swarms
	}
	return (d.bad + 1) / 2
}

// run is how many of the first blocks are of one target.
func run(blocks []queue.Block) (n int) {
	for n < len(blocks) && blocks[n].Target == blocks[0].Target {
		n++
	}
	return n
}

// passed notes that the first n of the blocks are settled, whatever became of
// them.
func (d *division) passed(n int) {
	d.bad, d.refused = max(0, d.bad-n), false
}

// taken notes that the endpoint took some, the first of the blocks.
func (d *division) taken(some []queue.Block) {
	d.passed(len(some))
	d.row, d.found, d.took = 0, 0, true
	for i := range some {
		if d.suspects[some[i].Target].solid {
			delete(d.suspects, some[i].Target)
		}
	}
}

// exhausted reports whether no more is to be found out.
func (d *division) exhausted() bool {
	d.lost = d.lost || d.row > d.patience
	return d.lost || d.left <= lastParts
}

// divide decides about some, the first of the blocks that wait, which were
// refused. It returns how many of them are settled: all, or none if they are to go in
// parts. The error is that of ctx.
func (s *Sender) divide(ctx context.Context, some []queue.Block, d *division, r objection) (settled int, err error) {
	d.row++
	switch {
	case len(some) == 1:
		return 1, s.culprit(ctx, some[0], d, r)
	case !d.on && !d.begin(len(some), r.plain), d.exhausted():
	case d.inside && d.stillSuspected(some):
	case run(some) == len(some) && d.isSolid(some[0].Target):
		d.suspect(some[0].Target, true)
	default:
		d.bad, d.refused = len(some), true
		return 0, nil
	}
	s.lose(r, some...)
	d.passed(len(some))
	d.bad = 0
	return len(some), nil
}

// isSolid reports whether it is no use to look into a target's blocks.
func (d *division) isSolid(target uint64) bool {
	known, ok := d.suspected(target)
	return target != 0 && (ok && known.solid || d.last == target && d.strikes >= 2)
}

// culprit settles a block that was refused alone: if other requests are taken,
// all its series but those that are at fault are sent.
func (s *Sender) culprit(ctx context.Context, block queue.Block, d *division, r objection) error {
	d.bad, d.refused = 0, false
	d.found++
	well := d.took || time.Since(s.State().LastSuccess) < wellFor
	if well && r.reason != ReasonDamaged && d.looksInto(block, r.plain) {
		d.suspect(block.Target, false)
		return s.deliverSeries(ctx, block, d, r)
	}
	if d.on {
		if d.last != block.Target {
			d.last, d.strikes = block.Target, 0
		}
		d.strikes++
		d.suspect(block.Target, false)
		if d.inside {
			d.accuse(block.Target)
		}
	}
	s.lose(r, block)
	return nil
}

// looksInto reports whether a block that was refused alone is to be divided.
func (d *division) looksInto(block queue.Block, plain bool) bool {
	switch {
	case d.inside || block.Samples < 2 || d.isSolid(block.Target):
		return false
	case !d.on && !d.begin(block.Samples, plain): // it was all of its request
		return false
	}
	return d.left >= lastParts+enough(block.Samples) && !d.exhausted()
}

// deliverSeries sends the series of a block that was refused as parts of it.
func (s *Sender) deliverSeries(ctx context.Context, block queue.Block, d *division, r objection) error {
	units, lost := seriesOf(block, r.body.form)
	if len(units) < 2 {
		s.lose(r, block)
		return nil
	}
	s.unfit(lost)
	units = d.apart(units)
	in := &division{
		divider: d.divider, on: true, inside: true, plain: d.plain, left: d.left - lastParts,
		bad: len(units), refused: true, patience: bits.Len(uint(len(units))) + 2,
	}
	err := s.deliverParts(ctx, units, in, func(int) {})
	d.left -= in.used
	d.used += in.used
	if in.took {
		d.row, d.found, d.took = 0, 0, true
	}
	if !in.took {
		d.suspect(block.Target, true)
	}
	return err
}
