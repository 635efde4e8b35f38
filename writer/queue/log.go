package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"
)

// LogConfig is where a log is and how much it may take.
type LogConfig struct {
	Dir         string        // made if need be; one process at a time
	MaxBytes    int64         // on disk; beyond it the oldest segment goes
	MaxAge      time.Duration // what waited for so long is given up; 0 = never
	MemoryBytes int           // of blocks waiting while the disk fails; beyond it the oldest go
	Sync        Sync
	Endpoint    string // where blocks go, without credentials; told when it changes

	keepEndpoint bool  // Endpoint is not known
	files        files // nil is the real ones
	segmentBytes int64 // 0 is what MaxBytes gives
	tailBytes    int   // 0 is defaultTailBytes
	retainBytes  int64 // 0 is defaultRetainBytes
}

// Sync says when what was appended is made to survive the machine, and not
// only the process.
type Sync uint8

const (
	SyncNone     Sync = iota // when the kernel sees fit, some 30 s later
	SyncInterval             // within a second
	SyncAlways               // before Append returns
)

const (
	// defaultSegmentBytes is small enough to be a small part of a small limit,
	// and large enough for a new one to be an event: every 15 s on a node of 50,000
	// series every 15 s.
	defaultSegmentBytes = 2 << 20
	// defaultTailBytes of the newest blocks are kept in memory, so that they are
	// not read back while the endpoint keeps up: a scrape of 50,000 series is 2 MB.
	defaultTailBytes = 2 << 20
	// readAhead is read at once of a backlog.
	readAhead = 128 << 10
	// maxSegmentAge ends a segment that fills slowly, so that it can go.
	maxSegmentAge = 10 * time.Minute
)

// ErrInUse is what OpenLog returns if another process has the directory.
var ErrInUse = errors.New("another process has this queue directory: give each kinglet its own queue_dir")

// Log is a Queue on disk, which survives the process. A block is written before
// Next returns it, and stays until it is acknowledged. What a crash of the
// process loses is nothing that Append returned for, and what it doubles is
// what was in flight.
//
// While the disk fails it is a queue in memory, and what waits there goes to disk
// when the disk works again.
type Log struct {
	cfg    LogConfig
	onDrop OnDrop
	log    *slog.Logger
	wake   chan struct{} // one token: something was appended, or closed

	mu       sync.Mutex
	segments segments // the last one is written to if active
	active   file     // nil: the next block begins a segment
	lock     file
	mark     file
	scratch  []byte
	group    []*entry // scratch of append
	unsynced bool

	generation uint64 // of the mark
	markDue    bool   // something was acknowledged since it was written
	markedAt   time.Time
	nextSeq    uint64
	ring       ring
	spans      []*span // what waits, oldest first; the last one has no end

	blocks, samples int // that wait
	bytes           int
	damaged         uint64 // records that could not be read
	passed          bool   // a segment was read to its end since the last reclaim

	trouble
	drain

	want     Want
	patience int   // samples that may be appended before Next has to look again
	flying   *span // that blocks are in flight of
	inFlight int
	request  request // scratch of take
	out      []Block // what Next returns; the consumer's
	closed   bool
	released bool

	spare    *segment // an acknowledged one, no longer in segments, whose file is used again
	replaced segments // what waits in them is in memory, and goes to other segments
	tail     []bounds // the segments that Recovered gives
}

// OpenLog opens the log in a directory, or makes it. onDrop may be nil. A disk
// that fails is no error: the log works in memory then, and Disk tells. The only
// error is ErrInUse. Release gives the directory back.
func OpenLog(cfg LogConfig, onDrop OnDrop, log *slog.Logger) (*Log, error) {
	if cfg.files == nil {
		cfg.files = disk{pace: new(pace)}
	}
	if cfg.segmentBytes == 0 {
		cfg.segmentBytes = min(defaultSegmentBytes, cfg.MaxBytes/8)
	}
	if cfg.tailBytes == 0 {
		cfg.tailBytes = defaultTailBytes
	}
	if cfg.retainBytes == 0 {
		cfg.retainBytes = min(defaultRetainBytes, cfg.MaxBytes/4)
	}
	if onDrop == nil {
		onDrop = func(int, string) {}
	}
	l := &Log{cfg: cfg, onDrop: onDrop, log: log, wake: make(chan struct{}, 1), nextSeq: 1}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.open(); err != nil {
		if errors.Is(err, errLocked) {
			return nil, fmt.Errorf("%s: %w", cfg.Dir, ErrInUse)
		}
		l.fail(err)
		l.spans = []*span{newSpan(bounds{l.nextSeq, forever})}
	}
	return l, nil
}

// Append implements Queue. It writes blocks to disk, several small ones at once.
func (l *Log) Append(blocks ...Block) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		for _, b := range blocks {
			l.onDrop(b.Samples, ReasonClosed)
		}
		return
	}
	l.retry(now)
	for len(blocks) > 0 {
		n, size := 1, recordSize(&blocks[0])
		for n < len(blocks) && size+recordSize(&blocks[n]) <= maxWrite {
			size += recordSize(&blocks[n])
			n++
		}
		if n == 1 || l.failed != nil || !l.append(blocks[:n], size, now) {
			for i := range n {
				l.append(blocks[i:i+1], recordSize(&blocks[i]), now)
			}
		}
		blocks = blocks[n:]
	}
	l.ring.shed(l.memoryLimit())
	if l.patience <= 0 {
		signal(l.wake)
	}
}

// maxWrite bounds what is written at once, unless a single block is larger.
const maxWrite = 64 << 10

// append takes blocks whose records have that size together, all or none. A
// single one that cannot be taken is counted as lost.
func (l *Log) append(blocks []Block, size int64, now time.Time) bool {
	l.group = l.group[:0]
	for i := range blocks {
		e := &entry{Block: blocks[i], seq: l.nextSeq + uint64(i)}
		if e.Queued.IsZero() {
			e.Queued = now
		}
		l.group = append(l.group, e)
	}
	defer clear(l.group)
	if !l.store(l.group, size, now) {
		if len(blocks) == 1 {
			l.onDrop(blocks[0].Samples, ReasonFull)
		}
		return false
	}
	for _, e := range l.group {
		l.nextSeq++
		e.lease()
		l.ring.push(e)
		l.count(&e.Block)
		l.noteLive(e.Samples, now)
		l.patience -= e.Samples
	}
	return true
}

func (l *Log) count(b *Block) {
	l.blocks++
	l.samples += b.Samples
	l.bytes += int(recordSize(b))
}

func (l *Log) discount(b *Block) {
	l.blocks--
	l.samples -= b.Samples
	l.bytes -= int(recordSize(b))
}

// write appends entries to the log's last segment, or to a new one, all or none.
// Their records have that size together.
func (l *Log) write(entries []*entry, size int64, now time.Time) error {
	first, last := entries[0], entries[len(entries)-1]
	if err := l.roll(first.seq, size, now); err != nil {
		return err
	}
	s := l.segments[len(l.segments)-1]
	l.scratch = l.scratch[:0]
	for _, e := range entries {
		l.scratch = appendRecord(l.scratch, e.seq, &e.Block)
	}
	l.scratch = appendEnd(l.scratch, last.seq+1) // for now
	_, err := l.active.WriteAt(l.scratch, s.bytes)
	if cap(l.scratch) > 1<<20 {
		l.scratch = nil
	}
	if err != nil {
		return fmt.Errorf("write %d bytes to a segment: %w", size, err)
	}
	if l.cfg.Sync == SyncAlways {
		if err := l.active.Sync(); err != nil {
			return fmt.Errorf("sync a segment: %w", err)
		}
	}
	l.unsynced = true
	l.diskBytes += size
	s.next, s.lastAt = last.seq+1, now
	for _, e := range entries {
		s.bytes += recordSize(&e.Block)
		s.add(&e.Block)
		e.segment, e.end = s, s.bytes
		if e.held {
			s.held++
		}
	}
	return nil
}

// roll begins a new segment if there is none, or if it is full or old.
func (l *Log) roll(seq uint64, size int64, now time.Time) error {
	if l.active != nil {
		s := l.segments[len(l.segments)-1]
		if s.bytes == 0 || s.bytes+size <= l.cfg.segmentBytes && now.Sub(s.firstAt) < l.segmentAge() {
			return nil
		}
		l.seal()
	}
	f, err := l.newFile(segmentName(l.cfg.Dir, seq))
	if err != nil {
		return fmt.Errorf("begin a segment: %w", err)
	}
	l.active = f
	l.segments = append(l.segments, &segment{first: seq, next: seq, firstAt: now, lastAt: now})
	return nil
}

// newFile makes a segment's file, of a spare one if there is one: to write over
// what the kernel has in its cache takes a fifth of the time that new pages do.
// What a spare file holds tells by its numbers that it is old.
func (l *Log) newFile(name string) (file, error) {
	if s := l.spare; s != nil {
		l.spare = nil
		l.diskBytes -= s.bytes
		if err := l.cfg.files.Rename(segmentName(l.cfg.Dir, s.first), name); err == nil {
			return l.cfg.files.Open(name, false)
		} else if !gone(err) {
			return nil, err
		}
	}
	return l.cfg.files.Open(name, true)
}

// segmentAge is when a segment ends that is not full: what is given up for its
// age goes by whole segments.
func (l *Log) segmentAge() time.Duration {
	if l.cfg.MaxAge > 0 {
		return min(l.cfg.MaxAge/8, maxSegmentAge)
	}
	return maxSegmentAge
}

// seal ends the segment that is written to.
func (l *Log) seal() {
	if l.active == nil {
		return
	}
	if l.cfg.Sync != SyncNone && l.unsynced {
		if err := l.active.Sync(); err != nil {
			l.log.Warn("a segment of the queue could not be synced", "error", err)
		}
	}
	l.unsynced = false
	last := len(l.segments) - 1
	s := l.segments[last]
	_ = l.active.Truncate(s.bytes + headerSize) // what is behind it tells that it is old
	l.active.Close()
	l.active = nil
	if s.bytes == 0 {
		_ = l.cfg.files.Remove(segmentName(l.cfg.Dir, s.first)) // nothing is in it
		l.segments = l.segments[:last]
	}
}

// Close implements Queue. What is left after it stays on disk.
func (l *Log) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	signal(l.wake)
}

// Release closes the log's files and gives the directory back; nothing but Stats
// and Disk may be called afterwards. It returns the samples that were in memory
// only, which are lost, and those that stay on disk. A second call returns none.
func (l *Log) Release() (lost, kept int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.released {
		return 0, 0
	}
	l.released = true
	now := time.Now()
	l.retryAt = now
	l.retry(now)
	l.writeMark()
	for e := range l.ring.live {
		if !e.onDisk() {
			lost += e.Samples
		}
	}
	l.closeFiles()
	return lost, l.samples - lost
}

func (l *Log) closeFiles() {
	l.seal()
	for _, s := range l.spans {
		s.closeReader()
	}
	for _, f := range []file{l.mark, l.lock} {
		if f != nil {
			f.Close()
		}
	}
	l.mark, l.lock = nil, nil
}

// Stats implements Queue.
func (l *Log) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := Stats{Blocks: l.blocks, Samples: l.samples, Bytes: l.bytes}
	if l.blocks > 0 {
		s.Oldest = l.oldest()
	}
	return s
}

// oldest is when the oldest block that waits was appended, as far as is known
// without reading it.
func (l *Log) oldest() time.Time {
	s := l.spans[0]
	if len(s.held) > 0 {
		return s.held[0].Queued
	}
	for e := range l.ring.live {
		if e.seq >= s.next {
			if segment := l.segments.of(s.next); segment != nil && segment.next <= e.seq {
				break
			}
			return e.Queued
		}
	}
	if segment := l.segments.of(s.next); segment != nil {
		return segment.firstAt
	}
	return time.Time{}
}

// Run looks after the disk until ctx ends: it syncs, gives up what is too old,
// and brings a failed disk back into use.
func (l *Log) Run(ctx context.Context) {
	every := tendEvery
	if l.cfg.Sync == SyncInterval {
		every = syncEvery
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			l.tend(time.Now())
		}
	}
}

const (
	tendEvery = 5 * time.Second
	syncEvery = time.Second
)

func (l *Log) tend(now time.Time) {
	l.sync()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.released {
		return
	}
	l.noteMark(now)
	l.retry(now)
	l.check(now)
	l.expire(now)
	l.reclaim(now)
}

// sync brings what was appended to the medium, without holding up Append.
func (l *Log) sync() {
	l.mu.Lock()
	f := l.active
	due := l.cfg.Sync == SyncInterval && l.unsynced && f != nil
	l.unsynced = l.unsynced && !due
	l.mu.Unlock()
	if !due {
		return
	}
	if err := f.Sync(); err != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.active == f {
			l.fail(fmt.Errorf("sync a segment: %w", err))
		}
	}
}

func (l *Log) path(name string) string { return filepath.Join(l.cfg.Dir, name) }
