package queue

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"maps"
	"math/rand/v2"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// FuzzLog does what the bytes say to a log: append, take, acknowledge, kill,
// stop, break the disk and mend it. What was appended must come, but for what a
// kill took that was in memory only, or was counted as lost; nothing is
// overtaken, and nothing comes twice unless a kill came between.
func FuzzLog(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		ops := make([]byte, 20+r.IntN(200))
		for i := range ops {
			ops[i] = byte(r.IntN(256))
		}
		f.Add(ops)
	}
	f.Fuzz(func(t *testing.T, ops []byte) {
		synctest.Test(t, func(t *testing.T) { newModel(t).run(ops) })
	})
}

// model is what a test knows of a log that it does things to.
type model struct {
	t    *testing.T
	ram  *ram
	fs   *faulty
	cfg  LogConfig
	l    *Log
	want Want

	lender    Lender
	appended  uint64          // blocks, numbered from 1
	acked     map[uint64]bool // by the consumer
	excused   map[uint64]bool // lost by a kill: they were in memory only
	unnoted   map[uint64]bool // acknowledged in this life, and that may not be on disk
	again     map[uint64]bool // likewise in a life before: they may come again
	unsure    bool            // some came, or were lost, that had come before
	lost      int             // counted
	known     bool            // what was there at the start was known from the start
	last      map[*span]uint64
	delivered uint64 // the last one, in this life
}

func newModel(t *testing.T) *model {
	ram := newRAM()
	fs := &faulty{files: ram}
	m := &model{
		t: t, ram: ram, fs: fs, acked: map[uint64]bool{}, excused: map[uint64]bool{}, again: map[uint64]bool{}, unnoted: map[uint64]bool{},
		cfg:  LogConfig{Dir: "queue", MaxBytes: 1 << 30, MemoryBytes: 1 << 20, segmentBytes: 1500, retainBytes: 2000, tailBytes: 3000, files: fs},
		want: Want{MaxSamples: 5},
	}
	m.open()
	return m
}

func (m *model) open() {
	l, err := OpenLog(m.cfg, func(samples int, _ string) { m.lost += samples }, slog.New(slog.DiscardHandler))
	if err != nil {
		m.t.Fatal(err)
	}
	m.l, m.known, m.last, m.delivered = l, l.failed == nil, map[*span]uint64{}, 0
}

func (m *model) run(ops []byte) {
	for _, op := range ops {
		m.t.Logf("op %d/%d appended %d failed %v waiting %v", op&15, op>>4, m.appended, m.l.failed, m.l.waiting())
		switch n := int(op >> 4); op & 15 {
		case 0, 1, 2, 3, 4, 5:
			m.append(n)
		case 6, 7, 8:
			m.take(n)
		case 9:
			m.kill(n)
		case 10:
			m.stop()
		case 11:
			m.break_(n)
		case 12, 13:
			m.fs.set(nil)
		case 14:
			pass(time.Duration(n) * 5 * time.Second)
			m.l.tend(time.Now())
		case 15:
			m.want = Want{MaxSamples: 1 + n, FreshShare: []float64{0, 0.5, 0.9, 0}[n%4], OneRowPerTarget: n%5 == 0}
		}
	}
	m.fs.set(nil)
	for range 3 {
		pass(retryEvery)
		m.l.tend(time.Now())
	}
	m.stop()
	m.l.Close()
	for m.take(15) {
	}
	m.check()
	m.l.Release()
}

// append appends a block that tells its number.
func (m *model) append(n int) {
	m.appended++
	lease := m.lender.Lend(500 + 20*n)
	stream := binary.LittleEndian.AppendUint64(lease.Memory(), m.appended)
	stream = append(stream, bytes.Repeat([]byte{byte(m.appended) | 1}, 450+20*n)...)
	defer lease.Done()
	m.l.Append(Block{Stream: stream, Lease: lease, Samples: 1, Target: uint64(n % 3), RowMs: time.Now().UnixMilli()})
}

// take takes a request and acknowledges it, or a part of it.
func (m *model) take(n int) bool {
	ctx, cancel := context.WithTimeout(m.t.Context(), 2*time.Minute)
	defer cancel()
	blocks, err := m.l.Next(ctx, m.want)
	if err != nil {
		return false
	}
	if n < 12 {
		blocks = blocks[:min(len(blocks), n)]
	}
	span := m.l.flying
	for _, b := range blocks {
		id := binary.LittleEndian.Uint64(b.Stream)
		for _, c := range b.Stream[8:] {
			if c != byte(id)|1 {
				m.t.Fatalf("the memory of block %d was used for another", id)
			}
		}
		switch {
		case id == 0 || id > m.appended:
			m.t.Fatalf("block %d was never appended", id)
		case m.acked[id] && !m.again[id]:
			m.t.Fatalf("block %d came again", id)
		case id <= m.last[span] && m.known:
			m.t.Fatalf("block %d came after %d", id, m.last[span])
		case m.want.FreshShare == 0 && len(m.l.spans) == 1 && id < m.delivered && m.known:
			m.t.Fatalf("block %d came after %d", id, m.delivered)
		}
		m.last[span], m.delivered = id, max(m.delivered, id)
		m.acked[id] = true
		delete(m.again, id)
	}
	m.l.Ack(len(blocks))
	switch {
	case m.l.failed != nil || m.l.markDue:
		for _, b := range blocks {
			m.unnoted[binary.LittleEndian.Uint64(b.Stream)] = true
		}
	case len(blocks) > 0:
		clear(m.unnoted)
	}
	return true
}

// kill ends the process, in the middle of an append if n is not 0: what is in
// memory only is lost.
func (m *model) kill(n int) {
	if m.l.active != nil && n > 0 {
		s := m.l.segments[len(m.l.segments)-1]
		b := Block{Stream: bytes.Repeat([]byte{0xff}, 200), Samples: 1}
		record := appendRecord(nil, m.l.nextSeq, &b)
		m.fs.set(nil)
		if _, err := m.l.active.WriteAt(record[:len(record)*n/16], s.bytes); err != nil {
			m.t.Fatal(err)
		}
	}
	for e := range m.l.ring.live {
		if !e.onDisk() {
			m.excused[binary.LittleEndian.Uint64(e.Stream)] = true
		}
	}
	m.restart()
}

func (m *model) restart() {
	maps.Copy(m.again, m.unnoted)
	m.unsure = m.unsure || len(m.unnoted) > 0
	clear(m.unnoted)
	m.ram.crash()
	m.open()
}

func (m *model) stop() {
	lost, _ := m.l.Release()
	m.lost += lost
	if lost > 0 {
		for e := range m.l.ring.live {
			if !e.onDisk() {
				m.excused[binary.LittleEndian.Uint64(e.Stream)] = true
				m.lost -= e.Samples
			}
		}
	}
	m.restart()
}

// break_ makes some operations fail from now on.
func (m *model) break_(n int) {
	broken := []error{syscall.EIO, syscall.ENOSPC, syscall.EROFS, errors.New("odd")}[n%4]
	ops := [][]byte{[]byte("write"), []byte("create write"), []byte("mkdir open create"), []byte("remove write"), []byte("read")}[n%5]
	left := 1 + n*n/4
	m.fs.set(func(op, _ string) error {
		if left > 0 && bytes.Contains(ops, []byte(op)) {
			left--
			return broken
		}
		return nil
	})
}

func (m *model) check() {
	missing := 0
	for id := uint64(1); id <= m.appended; id++ {
		if !m.acked[id] && !m.excused[id] {
			missing++
			if missing > m.lost {
				m.t.Errorf("block %d of %d never came; %d counted as lost", id, m.appended, m.lost)
			}
		}
	}
	if s := m.l.Stats(); s.Samples != 0 || s.Blocks != 0 || s.Bytes != 0 {
		m.t.Errorf("nothing waits, and stats tell %+v", s)
	}
	if m.l.damaged > 0 {
		m.t.Errorf("%d records are said to be damaged", m.l.damaged)
	}
	if m.lost > 0 && missing == 0 && !m.unsure {
		m.t.Errorf("%d counted as lost, and all came", m.lost)
	}
}
