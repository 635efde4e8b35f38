package queue

import (
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"
)

// trouble is what a log knows of its disk.
type trouble struct {
	opened    bool  // what was there from before is known
	diskBytes int64 // of all segments
	failed    error // why the log is in memory only; nil if it is not
	failures  int   // times that something failed
	since     time.Time
	retryAt   time.Time
}

const (
	// retryEvery is the time until a failed disk is tried again.
	retryEvery = 5 * time.Second

	// Of what is acknowledged the newest defaultRetainBytes are kept, unless they
	// are older than retainFor: a start learns from them what was alive at the end.
	defaultRetainBytes = 8 << 20
	retainFor          = 15 * time.Minute
)

var errVanished = errors.New("the queue directory, or a file in it, has been removed")

// Disk is the state of a log's directory.
type Disk struct {
	Bytes    int64 // of segments, what is acknowledged and not yet removed included
	Segments int
	Err      error  // why the log is in memory only, or nil
	Failures int    // writes, reads and other operations that failed
	Damaged  uint64 // records that could not be read
}

// Disk tells the state of the log's directory.
func (l *Log) Disk() Disk {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Disk{Bytes: l.diskBytes, Segments: len(l.segments), Err: l.failed, Failures: l.failures, Damaged: l.damaged}
}

// fail makes the log a queue in memory until the disk works again.
func (l *Log) fail(err error) {
	now := time.Now()
	l.failures++
	l.retryAt = now.Add(retryEvery)
	if l.failed == nil {
		l.since = now
		l.log.Error("the queue directory fails: samples wait in memory only until it works again", "dir", l.cfg.Dir, "error", err)
	}
	l.failed = err
	l.seal()
}

// retry tries whether a failed disk works again, if it is time for that.
func (l *Log) retry(now time.Time) {
	if l.failed == nil || now.Before(l.retryAt) {
		return
	}
	l.failed, l.retryAt = l.restore(now), now.Add(retryEvery)
	if l.failed != nil {
		l.failures++
		return
	}
	l.log.Info("the queue directory works again", "dir", l.cfg.Dir, "failed_for", now.Sub(l.since).Round(time.Millisecond))
	l.ring.shed(l.memoryLimit())
}

// restore brings the directory into use: what is not there is made, and what
// waits in memory is written.
func (l *Log) restore(now time.Time) error {
	if err := l.open(); err != nil {
		l.seal()
		return err
	}
	for _, e := range slices.Collect(l.ring.live) {
		if e.onDisk() {
			continue
		}
		size := recordSize(&e.Block)
		if !l.makeRoom(size) {
			l.seal()
			return errors.New("queue_max_bytes has no room for what waits in memory")
		}
		if err := l.write([]*entry{e}, size, now); err != nil {
			l.seal()
			return err
		}
	}
	for _, s := range l.replaced {
		l.diskBytes -= s.bytes
		if !slices.ContainsFunc(l.segments, func(t *segment) bool { return t.first == s.first }) {
			l.remove(s) // else its file was written anew
		}
	}
	l.replaced = nil
	if err := writeMark(l.mark, l.generation+1, l.waiting()); err != nil {
		l.seal()
		return fmt.Errorf("write the read mark: %w", err)
	}
	l.generation++
	return nil
}

// check finds out whether the directory is still there: what is written to files
// that were removed is written nowhere.
func (l *Log) check(now time.Time) {
	if l.failed != nil {
		return
	}
	there := l.cfg.files.Is(l.lock, l.path(lockName)) && l.cfg.files.Is(l.mark, l.path(markName))
	if there && l.active != nil {
		there = l.cfg.files.Is(l.active, segmentName(l.cfg.Dir, l.segments[len(l.segments)-1].first))
	}
	if !there {
		l.fail(errVanished)
		l.retryAt = now
		l.retry(now)
	}
}

// store puts entries on disk, or a single one in memory while the disk fails. It
// reports false if there is no room, or if several have to be tried one by one.
func (l *Log) store(entries []*entry, size int64, now time.Time) bool {
	if l.failed == nil {
		if !l.makeRoom(size) {
			return false
		}
		err := l.write(entries, size, now)
		if errors.Is(err, syscall.ENOSPC) && l.removeAcknowledged() {
			err = l.write(entries, size, now)
		}
		if err == nil {
			return true
		}
		l.fail(err)
	}
	if len(entries) > 1 {
		return false
	}
	weight := entries[0].weight()
	if l.ring.bytes+weight > l.cfg.MemoryBytes && errors.Is(l.failed, syscall.ENOSPC) {
		// The oldest goes, and that is on disk.
		if s := l.victim(); s != nil {
			l.lose(s, ReasonFull)
			l.retryAt = now
			l.retry(now)
			if l.failed == nil && l.makeRoom(size) && l.write(entries, size, now) == nil {
				return true
			}
		}
	}
	return l.makeMemory(weight)
}

// makeRoom removes the oldest segments until size more bytes may be written. It
// removes nothing if that would not be enough.
func (l *Log) makeRoom(size int64) bool {
	if size > l.cfg.MaxBytes {
		return false
	}
	for l.diskBytes+size > l.cfg.MaxBytes {
		if l.removeSpare() {
			continue
		}
		s := l.victim()
		if s == nil && l.active != nil && l.segments[len(l.segments)-1].held == 0 {
			l.seal()
			s = l.victim()
		}
		if s == nil {
			return false
		}
		l.lose(s, ReasonFull)
	}
	return true
}

// victim is the segment to go when there is no room: the oldest that is
// acknowledged, else the oldest of which nothing is in flight; nil if none.
func (l *Log) victim() *segment {
	sealed := l.segments
	if l.active != nil {
		sealed = sealed[:len(sealed)-1]
	}
	for _, free := range []func(*segment) bool{
		(*segment).isDone,
		func(s *segment) bool { return s.held == 0 },
	} {
		if i := slices.IndexFunc(sealed, free); i >= 0 {
			return sealed[i]
		}
	}
	return nil
}

// removeAcknowledged removes segments of which nothing waits.
func (l *Log) removeAcknowledged() (some bool) {
	some = l.removeSpare()
	for _, s := range slices.Clone(l.segments) {
		if s.isDone() && s.bytes > 0 {
			l.lose(s, ReasonFull)
			some = true
		}
	}
	return some
}

// removeSpare removes the spare file, if there is one.
func (l *Log) removeSpare() bool {
	s := l.spare
	if s == nil {
		return false
	}
	l.spare = nil
	l.diskBytes -= s.bytes
	l.remove(s)
	return true
}

// remove removes a segment's file.
func (l *Log) remove(s *segment) {
	if err := l.cfg.files.Remove(segmentName(l.cfg.Dir, s.first)); err != nil && !gone(err) && l.failed == nil {
		l.fail(fmt.Errorf("remove a segment: %w", err))
	}
}

// memoryLimit is how many bytes the ring may hold of what is on disk too.
func (l *Log) memoryLimit() int {
	if l.failed != nil {
		return l.cfg.MemoryBytes
	}
	return l.cfg.tailBytes
}

// makeMemory drops the oldest blocks that are in memory only, and not in
// flight, until size more bytes fit. It drops none if that would not be enough.
func (l *Log) makeMemory(size int) bool {
	limit := l.cfg.MemoryBytes
	l.ring.shed(max(0, limit-size))
	for _, s := range l.spans {
		for _, e := range s.held {
			if !e.onDisk() {
				limit -= e.weight()
			}
		}
	}
	if size > limit {
		return false
	}
	for l.ring.bytes+size > l.cfg.MemoryBytes {
		e := l.oldestInMemory()
		if e == nil {
			return false
		}
		l.done(e)
		l.onDrop(e.Samples, ReasonFull)
	}
	return true
}

// oldestInMemory is the oldest entry that is neither on disk nor in flight.
func (l *Log) oldestInMemory() *entry {
	for e := range l.ring.live {
		if !e.onDisk() && !e.held {
			return e
		}
	}
	return nil
}

// lose removes a segment and counts what waits in it; nothing of it is in flight.
func (l *Log) lose(s *segment, reason string) {
	if l.isActive(s) {
		l.active.Close()
		l.active = nil
	}
	for seq := max(s.first, l.ring.from); seq < min(s.next, l.ring.end()); seq++ {
		if e, _ := l.ring.find(seq); e != nil && e.segment == s {
			l.ring.remove(seq) // counted with the segment
		}
	}
	l.drop(s)
	l.countLost(s, reason)
	l.diskBytes -= s.bytes
	l.remove(s)
}

// giveUp takes a segment that cannot be read, or is not there, for lost. What
// the log has in memory of it goes to disk again, and so does what came later,
// so that numbers rise from segment to segment.
func (l *Log) giveUp(s *segment) {
	l.seal()
	later := slices.Clone(l.segments[slices.Index(l.segments, s)+1:])
	l.drop(s)
	kept := l.detach(s)
	l.countLost(s, ReasonDamaged)
	l.diskBytes -= s.bytes
	l.remove(s)
	if !kept {
		return
	}
	for _, t := range later {
		l.drop(t)
		l.detach(t)
		l.countLost(t, ReasonDamaged)
		l.replaced = append(l.replaced, t)
	}
	if l.failed == nil {
		l.fail(errVanished)
	}
}

// drop takes a segment out of the log's.
func (l *Log) drop(s *segment) {
	l.segments = slices.DeleteFunc(l.segments, func(t *segment) bool { return t == s })
	for _, sp := range l.spans {
		if sp.reading == s {
			sp.closeReader()
		}
	}
}

// countLost counts what waits in a segment as lost.
func (l *Log) countLost(s *segment, reason string) {
	if s.samples > 0 {
		l.onDrop(s.samples, reason)
	}
	l.blocks -= s.blocks
	l.samples -= s.samples
	l.bytes -= int(s.pending)
	s.forget()
}

// detach makes entries of a segment such that are in memory only. It reports
// whether there are any that can be written again.
func (l *Log) detach(s *segment) (some bool) {
	free := func(e *entry) {
		s.done(&e.Block)
		e.segment = nil
		if e.held {
			s.held--
		}
	}
	for seq := max(s.first, l.ring.from); seq < min(s.next, l.ring.end()); seq++ {
		if e, _ := l.ring.find(seq); e != nil && e.segment == s {
			free(e)
			some = true
		}
	}
	for _, sp := range l.spans {
		for _, e := range sp.held {
			if e.segment == s {
				free(e)
			}
		}
	}
	return some
}

// expire gives up what has waited for too long, by whole segments. How long
// that is does not depend on what the clock is set to meanwhile.
func (l *Log) expire(now time.Time) {
	if l.cfg.MaxAge <= 0 {
		return
	}
	if l.active != nil {
		if s := l.segments[len(l.segments)-1]; s.bytes > 0 && now.Sub(s.lastAt) > l.cfg.MaxAge {
			l.seal()
		}
	}
	for i := 0; i < len(l.segments); {
		s := l.segments[i]
		if l.failed != nil || s.bytes == 0 || s.held > 0 || now.Sub(s.lastAt) <= l.cfg.MaxAge {
			i++
			continue
		}
		l.lose(s, ReasonAge)
	}
	if l.failed == nil {
		return
	}
	for e := l.oldestInMemory(); e != nil && now.Sub(e.Queued) > l.cfg.MaxAge; e = l.oldestInMemory() {
		l.done(e)
		l.onDrop(e.Samples, ReasonAge)
	}
}

// reclaim removes segments of which nothing waits, but for the newest.
func (l *Log) reclaim(now time.Time) {
	l.passed = false
	newer := int64(0)
	for i := len(l.segments) - 1; i >= 0; i-- {
		if i >= len(l.segments) {
			continue // a removal failed, which ended the last one
		}
		s := l.segments[i]
		if s.blocks > 0 && s.held == 0 && l.isPassed(s) {
			l.countLost(s, ReasonDamaged) // its damaged records are all that is left of it
		}
		s.unknown = s.unknown && !l.isPassed(s)
		kept := newer < l.cfg.retainBytes && now.Sub(s.lastAt) < retainFor
		newer += s.bytes
		switch {
		case !s.isDone() || kept || l.isActive(s) || l.failed != nil:
		case l.spare == nil && s.bytes >= l.cfg.segmentBytes/2:
			l.setAside(i)
		default:
			l.lose(s, ReasonFull)
		}
	}
}

// setAside makes the i-th segment, of which nothing waits, the spare one.
func (l *Log) setAside(i int) {
	l.spare = l.segments[i]
	l.drop(l.spare)
}

func (l *Log) isActive(s *segment) bool {
	return l.active != nil && s == l.segments[len(l.segments)-1]
}

// isPassed reports whether no span has anything of s to read any more.
func (l *Log) isPassed(s *segment) bool {
	if l.isActive(s) {
		return false
	}
	return !slices.ContainsFunc(l.spans, func(sp *span) bool { return sp.from < s.next && sp.to > s.first })
}

// waiting is what is not acknowledged, as the mark holds it.
func (l *Log) waiting() []bounds {
	all := make([]bounds, len(l.spans))
	for i, s := range l.spans {
		all[i] = bounds{min(s.from, s.to), s.to}
	}
	for len(all) > maxSpans {
		all[1].from = all[0].from // what lies between is sent twice after a crash
		all = all[1:]
	}
	return all
}

// noteMark writes the mark if that was not done for a while. What it does not
// know of after a kill is sent again: a write for each request would cost more
// than all else that the log does.
func (l *Log) noteMark(now time.Time) {
	if l.markDue && now.Sub(l.markedAt) >= markEvery {
		l.writeMark()
	}
}

// markEvery is the least time between two writes of the mark.
const markEvery = 200 * time.Millisecond

// writeMark notes what is acknowledged. It is not synced: what the machine
// loses of it is sent again.
func (l *Log) writeMark() {
	if l.mark == nil || !l.opened {
		return
	}
	l.markDue, l.markedAt = false, time.Now()
	// One that fails is written to the same slot again: the other one is sound.
	err := writeMark(l.mark, l.generation+1, l.waiting())
	switch {
	case err == nil:
		l.generation++
	case l.failed == nil:
		l.fail(fmt.Errorf("write the read mark: %w", err))
	}
}
