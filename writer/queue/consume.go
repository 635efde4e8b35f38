package queue

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"
)

// span is a range of records that wait, and the place to which it was read.
type span struct {
	bounds          // from is the first that is not acknowledged
	next   uint64   // the first that was not fetched
	held   []*entry // fetched and not acknowledged, in order

	window  window // of reading
	reading *segment
	at      int64 // where record next begins in reading, or before that
	lost    bool  // damage was met since the last record
}

func newSpan(b bounds) *span {
	return &span{bounds: b, next: b.from, window: window{size: readAhead}}
}

func (s *span) closeReader() {
	if s.window.file != nil {
		s.window.file.Close()
	}
	s.window = window{size: s.window.size}
	s.reading = nil
}

// drain is how a backlog is sent beside fresh samples.
type drain struct {
	credit   float64   // requests that fresh samples have a right to
	backlog  time.Time // when the next request of a backlog may be made
	liveRate float64   // samples a second that are appended, over the last minute or so
	liveAt   time.Time // when that was reckoned
}

const (
	// behindAfter: blocks that waited for longer than that, and than Linger, are
	// a backlog.
	behindAfter = 30 * time.Second
	// paceFactor: a backlog is sent so many times as fast as samples come in, at
	// most, but paceRequests full requests a second in any case. Requests follow
	// each other after paceGap at the soonest, however small they are.
	paceFactor   = 10
	paceRequests = 10
	paceGap      = 20 * time.Millisecond
	// liveWindow is the time over which the rate of samples is reckoned.
	liveWindow = time.Minute
	// readRetry is the time until a file is read again that could not be.
	readRetry = time.Second
)

// Next implements Queue.
func (l *Log) Next(ctx context.Context, want Want) ([]Block, error) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		wait, ready, err := l.take(want)
		if ready || err != nil {
			return l.out, err
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
		case <-l.wake:
		case <-timer.C:
		}
	}
}

// take puts what is due into l.out, or tells how long to wait at most.
func (l *Log) take(want Want) (wait time.Duration, ready bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.out)
	l.out, l.flying, l.inFlight, l.want = l.out[:0], nil, 0, want
	now := time.Now()
	l.expire(now)
	if l.closed && l.failed != nil {
		l.retry(now)
	}
	for {
		wait, ready = l.choose(now)
		if left := len(l.spans); !ready && l.dropEmptySpans() < left {
			continue
		}
		if l.passed && !ready {
			l.reclaim(now)
		}
		if l.closed && wait == nothing {
			return 0, false, ErrClosed
		}
		if l.noteMark(now); !ready && l.markDue {
			wait = min(wait, markEvery) // there is a pause
		}
		return wait, ready, nil
	}
}

// nothing is how long to wait for what is not there.
const nothing = time.Hour

// choose puts the request that is due into l.out, or tells how long to wait.
func (l *Log) choose(now time.Time) (wait time.Duration, ready bool) {
	wait, l.patience = nothing, 0
	for _, s := range l.turns() {
		n, untilDue := l.offer(s, now)
		if n > 0 && untilDue <= 0 {
			l.flying, l.inFlight = s, n
			for _, e := range s.held[:n] {
				l.out = append(l.out, e.Block)
			}
			return 0, true
		}
		wait = min(wait, untilDue)
	}
	return wait, false
}

// turns are the spans that the next request may be made of, best first.
func (l *Log) turns() []*span {
	oldest, fresh := l.spans[0], l.spans[len(l.spans)-1]
	if oldest == fresh || l.want.FreshShare <= 0 {
		return l.spans[:1]
	}
	if l.credit+l.want.FreshShare >= 1 {
		return []*span{fresh, oldest}
	}
	return []*span{oldest, fresh}
}

// dropEmptySpans removes those before the last of which nothing is left, and
// tells how many there are now.
func (l *Log) dropEmptySpans() int {
	l.spans = slices.DeleteFunc(l.spans, func(s *span) bool {
		empty := s.to != forever && s.from >= s.to
		if empty {
			s.closeReader()
		}
		return empty
	})
	return len(l.spans)
}

// offer fills a request from s. It returns the number of blocks, and how long
// to wait at most before they go out.
func (l *Log) offer(s *span, now time.Time) (n int, wait time.Duration) {
	l.request.begin(l.want)
	more := false
	for !more && (n == 0 || !l.request.full()) {
		if n == len(s.held) {
			if ok, retry := l.fetch(s); !ok {
				if retry > 0 && n == 0 {
					return 0, retry
				}
				break
			}
		}
		if more = !l.request.takes(&s.held[n].Block); !more {
			n++
		}
	}
	if n == 0 {
		return 0, nothing
	}
	full := more || l.request.full() || l.closed
	last := s.to == forever
	if len(l.spans) == 1 && !full && !l.want.OneRowPerTarget {
		l.patience = l.want.MaxSamples - l.request.samples
	}
	if last && !full {
		// A clock that is set back must not make a block wait for longer.
		wait = min(l.want.Linger, l.want.Linger-now.Sub(s.held[0].Queued))
	}
	if !l.closed && (!last || len(l.spans) == 1) {
		wait = max(wait, l.backlog.Sub(now))
	}
	return n, wait
}

// fetch adds the next block of s to what it holds. It reports false if there is
// none, with the time until it is worth trying again if it could not be read.
func (l *Log) fetch(s *span) (ok bool, retry time.Duration) {
	for s.next < min(s.to, l.nextSeq) {
		if e, in := l.ring.find(s.next); in {
			s.next++
			if e != nil && !e.held {
				l.hold(s, e)
				return true, 0
			}
			continue
		}
		from := l.segments.of(s.next)
		if from == nil || l.ring.len() > 0 && from.first >= l.ring.from {
			// What was between is gone and counted.
			s.next = l.nextSeq
			if l.ring.len() > 0 {
				s.next = l.ring.from
			}
			continue
		}
		s.next = max(s.next, from.first)
		e, err := l.read(s, from)
		switch {
		case err != nil:
			if wait := l.readFailed(s, from, err); wait > 0 {
				return false, wait
			}
		case e == nil:
			l.found(s, from, from.next)
			l.passed = true
			s.next = max(s.next, from.next)
		case e.seq >= s.to:
			s.next = s.to
		case e.seq >= l.ring.from && e.seq < l.ring.end():
			s.next = e.seq // what is before it is damaged
		default:
			s.next = e.seq + 1
			l.hold(s, e)
			return true, 0
		}
	}
	s.next = min(s.next, s.to)
	if len(s.held) == 0 {
		s.from = s.next
	}
	return false, 0
}

// hold gives an entry to s.
func (l *Log) hold(s *span, e *entry) {
	e.held = true
	s.held = append(s.held, e)
	if e.segment != nil {
		e.segment.held++
		if s.reading != e.segment {
			s.closeReader()
			s.reading = e.segment
		}
		s.at = e.end
	}
}

// read gives the next sound record of a segment from number s.next on, or nil
// if the segment has no more.
func (l *Log) read(s *span, from *segment) (*entry, error) {
	if s.reading != from {
		s.closeReader()
		s.reading, s.at = from, 0
	}
	if s.window.file == nil {
		f, err := l.cfg.files.Open(segmentName(l.cfg.Dir, from.first), false)
		if err != nil {
			return nil, fmt.Errorf("open a segment: %w", err)
		}
		s.window.file = f
	}
	for s.at+headerSize <= from.bytes {
		head, err := s.window.peek(s.at, headerSize, from.bytes)
		if err != nil {
			return nil, fmt.Errorf("read a record: %w", err)
		}
		h, ok := parseHeader(head)
		if !ok || h.end || s.at+h.size() > from.bytes || h.seq >= from.next {
			s.lost = true
			if s.at, err = s.window.resync(s.at+1, from.bytes, s.next, from.next); err != nil {
				return nil, fmt.Errorf("find the next record: %w", err)
			}
			continue
		}
		if h.seq < s.next {
			s.at += h.size()
			continue
		}
		l.found(s, from, h.seq)
		stream, err := s.window.peek(s.at+headerSize, h.length, from.bytes)
		if err != nil {
			return nil, fmt.Errorf("read a record: %w", err)
		}
		s.at += h.size()
		if !h.sound(stream) {
			l.countDamaged(1)
			s.next = h.seq + 1
			continue
		}
		e := &entry{Block: h.block, seq: h.seq, segment: from, end: s.at}
		e.Stream = stream
		e.Queued = from.appended(&e.Block)
		if from.unknown {
			from.add(&e.Block)
			l.count(&e.Block)
		}
		return e, nil
	}
	return nil, nil
}

// appended is when a block was appended, reckoned from its row.
func (s *segment) appended(b *Block) time.Time {
	before := s.lastAt.Sub(time.UnixMilli(b.RowMs)) // by the clock of then
	return s.lastAt.Add(-max(0, min(before, s.lastAt.Sub(s.firstAt))))
}

// readFailed decides what becomes of a segment that could not be read: it is
// tried again for a while, then the place is left out, then the rest of it. It
// returns how long to wait before going on.
func (l *Log) readFailed(s *span, from *segment, err error) time.Duration {
	s.closeReader()
	if gone(err) {
		l.log.Error("a segment of the queue has vanished, and what waited in it", "error", err)
		l.giveUp(from)
		return 0
	}
	if from.faults++; from.faults == 1 {
		l.log.Error("the queue cannot be read", "error", err)
	}
	l.failures++
	switch {
	case from.faults < readTries:
		s.reading, s.at = nil, 0
		return readRetry
	case from.faults < readTries+8 && s.at > 0:
		s.reading, s.lost = from, true
		s.at += scanWindow
	default:
		l.giveUp(from)
	}
	return 0
}

// readTries is how often a file is read again that cannot be.
const readTries = 30

// found counts what was damaged before the record of that number.
func (l *Log) found(s *span, in *segment, seq uint64) {
	if s.lost && !in.scanned {
		l.countDamaged(max(1, seq-s.next))
	}
	s.lost = false
}

func (l *Log) countDamaged(records uint64) {
	if l.damaged == 0 {
		l.log.Error("records of the queue are damaged and left out", "records", records)
	}
	l.damaged += records
}

// Ack implements Queue.
func (l *Log) Ack(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n > l.inFlight {
		panic("queue: Ack of blocks that are not in flight")
	}
	if n == 0 {
		return
	}
	s, now := l.flying, time.Now()
	samples, age := 0, now.Sub(s.held[n-1].Queued)
	for _, e := range s.held[:n] {
		samples += e.Samples
		l.done(e)
	}
	s.from = s.held[n-1].seq + 1
	s.held = slices.Delete(s.held, 0, n)
	l.inFlight -= n
	if len(s.held) == 0 {
		s.from = s.next
	}
	l.drained(s, samples, age, now)
	l.markDue = true
	if now.Sub(l.markedAt) >= time.Second {
		l.writeMark() // requests follow each other without a pause
	}
	l.reclaim(now)
}

// done ends an entry: nobody waits for it any more.
func (l *Log) done(e *entry) {
	l.discount(&e.Block)
	if e.segment != nil {
		e.segment.done(&e.Block)
		if e.held {
			e.segment.held--
		}
	}
	l.ring.remove(e.seq)
	e.letGo()
}

// drained notes that samples of s, of that age, were taken: it paces what is
// behind, and separates fresh samples from it.
func (l *Log) drained(s *span, samples int, age time.Duration, now time.Time) {
	if len(l.spans) > 1 {
		l.credit += l.want.FreshShare
		if s.to == forever {
			l.credit--
		}
		l.credit = max(-1, min(1, l.credit))
	}
	if age < behindAfter+l.want.Linger {
		return
	}
	rate := max(paceFactor*l.rate(now), float64(paceRequests*l.want.MaxSamples))
	if l.backlog.Before(now) {
		l.backlog = now
	}
	l.backlog = l.backlog.Add(max(paceGap, time.Duration(float64(samples)/rate*float64(time.Second))))
	if l.want.FreshShare > 0 && s.to == forever && len(l.spans) < maxSpans && l.samples > 2*l.want.MaxSamples {
		s.to = l.nextSeq
		l.spans = append(l.spans, newSpan(bounds{l.nextSeq, forever}))
	}
}

// noteLive notes that samples were appended.
func (l *Log) noteLive(samples int, now time.Time) {
	l.liveRate = l.rate(now) + float64(samples)/liveWindow.Seconds()
	l.liveAt = now
}

// rate is the samples appended in a second, of late.
func (l *Log) rate(now time.Time) float64 {
	if l.liveRate == 0 {
		return 0
	}
	return l.liveRate * math.Exp(-max(0, now.Sub(l.liveAt).Seconds())/liveWindow.Seconds())
}
