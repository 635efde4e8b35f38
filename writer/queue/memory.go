package queue

import (
	"context"
	"sync"
	"time"
	"unsafe"
)

// Memory is a Queue in memory.
type Memory struct {
	limitBytes int
	onDrop     OnDrop
	wake       chan struct{} // one token: something was appended, or closed
	eased      chan struct{} // of OnEase, or nil

	mu       sync.Mutex
	ring     []Block // the i-th oldest block is ring[(head+i) & (len(ring)-1)]
	head     int
	count    int
	inFlight int // oldest blocks that the consumer holds
	bytes    int
	samples  int
	closed   bool

	request request     // scratch of take
	out     []Block     // what Next returns; the consumer's
	timer   *time.Timer // of Next; the consumer's
}

// blockOverhead is what a block weighs beside its stream.
const blockOverhead = int(unsafe.Sizeof(Block{}))

// NewMemory makes a queue that holds at most limitBytes of compressed streams,
// with the little that each block weighs beside. onDrop may be nil.
func NewMemory(limitBytes int, onDrop OnDrop) *Memory {
	if onDrop == nil {
		onDrop = func(int, string) {}
	}
	return &Memory{limitBytes: limitBytes, onDrop: onDrop, wake: make(chan struct{}, 1)}
}

// OnEase makes the queue put a token into to, if there is room, whenever blocks
// are acknowledged, and by Close. It must be called before the queue is used.
func (m *Memory) OnEase(to chan struct{}) { m.eased = to }

// Append implements Queue.
func (m *Memory) Append(blocks ...Block) {
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, b := range blocks {
		if m.closed {
			m.onDrop(b.Samples, ReasonClosed)
			continue
		}
		if b.Queued.IsZero() {
			b.Queued = now
		}
		m.append(b)
	}
}

func (m *Memory) append(b Block) {
	if !m.makeRoom(weight(b)) {
		m.onDrop(b.Samples, ReasonFull)
		return
	}
	if m.count == len(m.ring) {
		m.grow()
	}
	b.Lease.Hold()
	*m.at(m.count) = b
	m.count++
	m.bytes += weight(b)
	m.samples += b.Samples
	signal(m.wake)
}

// makeRoom drops the oldest blocks that are not in flight until size bytes fit.
// It drops none if that would not be enough.
func (m *Memory) makeRoom(size int) bool {
	if m.bytes+size <= m.limitBytes {
		return true
	}
	held := 0
	for i := range m.inFlight {
		held += weight(*m.at(i))
	}
	if held+size > m.limitBytes {
		return false
	}
	n := 0
	for m.bytes+size > m.limitBytes {
		old := m.at(m.inFlight + n)
		m.bytes -= weight(*old)
		m.samples -= old.Samples
		m.onDrop(old.Samples, ReasonFull)
		old.Lease.Done()
		n++
	}
	if n > 0 {
		// Blocks in flight move up to what is left, so that the ring has no gap.
		for i := m.inFlight - 1; i >= 0; i-- {
			*m.at(i + n) = *m.at(i)
		}
		m.cutHead(n)
	}
	return true
}

// Next implements Queue.
func (m *Memory) Next(ctx context.Context, want Want) ([]Block, error) {
	defer func() {
		if m.timer != nil {
			m.timer.Stop()
		}
	}()
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		wait, ready, err := m.take(want)
		if ready || err != nil {
			return m.out, err
		}
		if m.timer == nil {
			m.timer = time.NewTimer(wait)
		} else {
			m.timer.Reset(wait)
		}
		select {
		case <-ctx.Done():
		case <-m.wake:
		case <-m.timer.C:
		}
	}
}

// take puts what is due into m.out, or tells how long to wait at most.
func (m *Memory) take(want Want) (wait time.Duration, ready bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.out)
	m.out, m.inFlight = m.out[:0], 0
	if m.count == 0 {
		if m.closed {
			return 0, false, ErrClosed
		}
		return time.Hour, false, nil
	}
	n := 0
	for m.request.begin(want); n < m.count && m.request.takes(m.at(n)); {
		n++
	}
	full := n < m.count || m.request.full()
	if wait = want.Linger - time.Since(m.at(0).Queued); !full && !m.closed && wait > 0 {
		return wait, false, nil
	}
	m.inFlight = n
	for i := range n {
		m.out = append(m.out, *m.at(i))
	}
	return 0, true, nil
}

// Ack implements Queue.
func (m *Memory) Ack(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n > m.inFlight {
		panic("queue: Ack of blocks that are not in flight")
	}
	for i := range n {
		m.bytes -= weight(*m.at(i))
		m.samples -= m.at(i).Samples
		m.at(i).Lease.Done()
	}
	m.inFlight -= n
	m.cutHead(n)
	signal(m.eased)
}

// Close implements Queue.
func (m *Memory) Close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	signal(m.wake)
	signal(m.eased)
}

// Stats implements Queue.
func (m *Memory) Stats() Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := Stats{Blocks: m.count, Samples: m.samples, Bytes: m.bytes}
	if m.count > 0 {
		s.Oldest = m.at(0).Queued
	}
	return s
}

// signal puts a token where none is. Nil is nowhere.
func signal(to chan struct{}) {
	select {
	case to <- struct{}{}:
	default:
	}
}

func (m *Memory) at(i int) *Block { return &m.ring[(m.head+i)&(len(m.ring)-1)] }

// cutHead forgets the n oldest places of the ring.
func (m *Memory) cutHead(n int) {
	for i := range n {
		*m.at(i) = Block{}
	}
	if n > 0 {
		m.head = (m.head + n) & (len(m.ring) - 1)
	}
	m.count -= n
	if m.count == 0 && len(m.ring) > 1024 {
		m.ring, m.head = nil, 0 // an outage is over
	}
}

// grow doubles the ring, whose length stays a power of two.
func (m *Memory) grow() {
	ring := make([]Block, max(16, 2*len(m.ring)))
	for i := range m.count {
		ring[i] = *m.at(i)
	}
	m.ring, m.head = ring, 0
}

func weight(b Block) int { return len(b.Stream) + blockOverhead }
