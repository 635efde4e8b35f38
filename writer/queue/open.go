package queue

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Files of a log's directory, beside its segments.
const (
	lockName     = "lock"
	markName     = "mark"
	endpointName = "endpoint"
)

// open takes the directory, and what is in it when that is done for the first
// time. Later it takes what was removed meanwhile for lost.
func (l *Log) open() error {
	files := l.cfg.files
	if err := files.MkdirAll(l.cfg.Dir); err != nil {
		return fmt.Errorf("make the queue directory: %w", err)
	}
	if l.lock == nil || !files.Is(l.lock, l.path(lockName)) {
		lock, err := files.Lock(l.path(lockName))
		if err != nil {
			return err
		}
		if l.lock != nil {
			l.lock.Close()
		}
		l.lock = lock
	}
	if err := l.openMark(); err != nil {
		return err
	}
	if !l.cfg.keepEndpoint {
		l.noteEndpoint()
	}
	if !l.opened {
		if err := l.load(time.Now()); err != nil {
			return err
		}
		l.opened = true
		return nil
	}
	if l.spare != nil {
		l.diskBytes -= l.spare.bytes
		l.spare = nil
	}
	for _, s := range slices.Clone(l.segments) {
		if _, err := files.Size(segmentName(l.cfg.Dir, s.first)); gone(err) && slices.Contains(l.segments, s) {
			l.giveUp(s)
		}
	}
	return nil
}

func (l *Log) openMark() error {
	files := l.cfg.files
	if l.mark != nil && files.Is(l.mark, l.path(markName)) {
		return nil
	}
	f, err := files.Open(l.path(markName), false)
	if gone(err) {
		f, err = files.Open(l.path(markName), true)
	}
	if err != nil {
		return fmt.Errorf("open the read mark: %w", err)
	}
	if l.mark != nil {
		l.mark.Close()
	}
	l.mark = f
	return nil
}

// noteEndpoint tells when blocks will go elsewhere than they would have.
func (l *Log) noteEndpoint() {
	before, err := l.cfg.files.ReadFile(l.path(endpointName))
	was := strings.TrimSpace(string(before))
	if err == nil && was == l.cfg.Endpoint {
		return
	}
	if was != "" {
		l.log.Info("the endpoint has another address than at the last start: what waits goes to the new one", "before", was, "now", l.cfg.Endpoint)
	}
	if err := l.cfg.files.WriteFile(l.path(endpointName), []byte(l.cfg.Endpoint+"\n")); err != nil {
		l.log.Warn("the queue directory does not know its endpoint", "error", err)
	}
}

// MovedTo notes that blocks go to another address from now on.
func (l *Log) MovedTo(endpoint string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cfg.Endpoint = endpoint
	if err := l.cfg.files.WriteFile(l.path(endpointName), []byte(endpoint+"\n")); err != nil {
		l.log.Warn("the queue directory does not know its endpoint", "error", err)
	}
}

// load looks through the segments that are there.
func (l *Log) load(now time.Time) error {
	generation, waiting, err := readMark(l.mark)
	if err != nil {
		return fmt.Errorf("read the read mark: %w", err)
	}
	names, err := l.cfg.files.ReadDir(l.cfg.Dir)
	if err != nil {
		return fmt.Errorf("list the queue directory: %w", err)
	}
	var found segments
	for _, name := range names {
		if first, ok := parseSegmentName(name); ok {
			found = append(found, &segment{first: first, next: first, firstAt: now, lastAt: now})
		}
	}
	slices.SortFunc(found, func(a, b *segment) int {
		if a.first < b.first {
			return -1
		}
		return 1
	})
	next := max(1, waiting[len(waiting)-1].from)
	for i, s := range found {
		limit := uint64(forever)
		if i+1 < len(found) {
			limit = found[i+1].first
		}
		if err := l.loadSegment(s, limit, waiting, now); err != nil {
			return err
		}
		next = max(next, s.next, s.first+1)
	}
	l.generation = generation
	l.adopt(found, waiting, next)
	if l.samples > 0 {
		l.log.Info("the queue holds samples from before", "samples", l.samples, "bytes", l.bytes)
	}
	return nil
}

// loadSegment looks through one segment and cuts off what is torn at its end.
func (l *Log) loadSegment(s *segment, limit uint64, waiting []bounds, now time.Time) error {
	name := segmentName(l.cfg.Dir, s.first)
	size, err := l.cfg.files.Size(name)
	if err != nil {
		return fmt.Errorf("look at a segment: %w", err)
	}
	f, err := l.cfg.files.Open(name, false)
	if err != nil {
		return fmt.Errorf("open a segment: %w", err)
	}
	defer f.Close()
	age := func(ms int64) time.Time { return now.Add(-max(0, now.Sub(time.UnixMilli(ms)))) }
	begun := false
	isWaiting := func(h *header) bool {
		return slices.ContainsFunc(waiting, func(b bounds) bool { return b.from <= h.seq && h.seq < b.to })
	}
	var newest header
	damaged, err := s.scan(f, size, limit, func(h *header, _ int64) {
		newest = *h
		at := age(h.block.RowMs)
		if !begun {
			begun, s.firstAt, s.lastAt = true, at, at
		}
		if at.Before(s.firstAt) {
			s.firstAt = at
		}
		if at.After(s.lastAt) {
			s.lastAt = at
		}
		if isWaiting(h) {
			s.blocks++
			s.samples += h.block.Samples
			s.pending += h.size()
		}
	})
	if err != nil {
		l.failures++
		l.log.Error("a segment of the queue cannot be looked through", "segment", name, "error", err)
		*s = segment{first: s.first, next: min(limit, s.first+unknownRecords), bytes: size, firstAt: s.firstAt, lastAt: s.lastAt, unknown: true}
		return nil
	}
	if damaged > 0 {
		l.countDamaged(damaged)
	}
	if begun && isTorn(f, &newest, s.bytes-newest.size(), size) {
		s.bytes -= newest.size()
		s.next = newest.seq
		if isWaiting(&newest) {
			s.blocks--
			s.samples -= newest.block.Samples
			s.pending -= newest.size()
		}
	}
	if s.bytes+headerSize < size {
		// What is torn, or of an earlier use, is not looked at again.
		if err := f.Truncate(s.bytes); err != nil {
			l.log.Warn("the end of a segment could not be cut", "segment", name, "error", err)
		}
	}
	return nil
}

// unknownRecords is more than a segment can have.
const unknownRecords = 1 << 32

// adopt puts what was found on disk before what is in memory.
func (l *Log) adopt(found segments, waiting []bounds, next uint64) {
	shift := next - 1 // what is in memory is numbered from 1
	l.nextSeq += shift
	l.ring.from += shift
	for e := range l.ring.live {
		e.seq += shift
	}
	var spans []*span
	for _, b := range waiting {
		spans = append(spans, newSpan(b))
	}
	for i, s := range l.spans {
		if i == 0 {
			spans[len(spans)-1].to = next
		}
		s.from += shift
		s.next += shift
		if s.to != forever {
			s.to += shift
		}
		spans = append(spans, s)
	}
	l.spans = spans
	for i, s := range found {
		if s.bytes == 0 {
			if err := l.cfg.files.Remove(segmentName(l.cfg.Dir, s.first)); err != nil {
				l.failures++
			}
			found[i] = nil
			continue
		}
		l.diskBytes += s.bytes
		l.blocks += s.blocks
		l.samples += s.samples
		l.bytes += int(s.pending)
	}
	l.segments = slices.DeleteFunc(found, func(s *segment) bool { return s == nil })
	kept := int64(0)
	for _, s := range slices.Backward(l.segments) {
		if kept < l.cfg.retainBytes {
			l.tail = append(l.tail, bounds{s.first, s.next})
		}
		kept += s.bytes
	}
	slices.Reverse(l.tail)
}
