package queue

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// block makes a block that can be told by the first byte of its stream.
func block(id byte, samples int) Block {
	return Block{Stream: append([]byte{id}, bytes.Repeat([]byte{0xab}, 99)...), RawLen: 1000, Samples: samples}
}

func ids(blocks []Block) string {
	s := ""
	for _, b := range blocks {
		s += string(b.Stream[0])
	}
	return s
}

// dropped collects what a queue gave up.
type dropped map[string]int

func (d dropped) add(samples int, reason string) { d[reason] += samples }

// A maker makes an empty queue that holds room blocks of block's size.
type maker func(t *testing.T, room int, onDrop OnDrop) Queue

func TestMemory(t *testing.T) {
	suite(t, func(_ *testing.T, room int, onDrop OnDrop) Queue {
		return NewMemory(room*(100+blockOverhead), onDrop)
	})
}

func TestMemoryTellsWhenItEases(t *testing.T) {
	q := NewMemory(1000, nil)
	eased := make(chan struct{}, 1)
	q.OnEase(eased)
	told := func() bool {
		select {
		case <-eased:
			return true
		default:
			return false
		}
	}
	q.Append(block('a', 1), block('b', 1))
	if next(t, q, 1); told() {
		t.Error("told before anything was taken")
	}
	if q.Ack(1); !told() {
		t.Error("not told that a block was taken")
	}
	if q.Close(); !told() {
		t.Error("not told that the queue is closed")
	}
}

// suite is what every kind of queue must pass.
func suite(t *testing.T, newQueue maker) {
	for _, tt := range []struct {
		name string
		test func(t *testing.T, newQueue maker)
	}{
		{"blocks come out in order", inOrder},
		{"a request fills up to its limit", fillsUp},
		{"a request waits for linger, not longer", lingers},
		{"a block larger than the limit comes alone", largeAlone},
		{"a request has one row of a target if that is wanted", oneRow},
		{"what was not acknowledged comes again", comesAgain},
		{"a part can be acknowledged", partialAck},
		{"a full queue loses its oldest, never what is in flight", losesOldest},
		{"a block that cannot fit is lost", losesTooLarge},
		{"a closed queue gives what is left at once, then ErrClosed", closes},
		{"a cancelled wait returns", cancels},
		{"stats tell what waits", tellsStats},
		{"an appender wakes a waiting consumer", wakes},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { tt.test(t, newQueue) })
		})
	}
}

func next(t *testing.T, q Queue, maxSamples int) string {
	t.Helper()
	blocks, err := q.Next(t.Context(), Want{MaxSamples: maxSamples, Linger: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return ids(blocks)
}

func inOrder(t *testing.T, newQueue maker) {
	q := newQueue(t, 1000, nil)
	got, want := "", ""
	for round := range 50 { // more than one turn of any ring
		for i := range 7 {
			id := byte('a' + (round*7+i)%26)
			q.Append(block(id, 1))
			want += string(id)
		}
		blocks, err := q.Next(t.Context(), Want{MaxSamples: 5})
		if err != nil {
			t.Fatal(err)
		}
		got += ids(blocks)
		q.Ack(len(blocks))
	}
	for len(got) < len(want) {
		blocks, err := q.Next(t.Context(), Want{MaxSamples: 9})
		if err != nil {
			t.Fatal(err)
		}
		got += ids(blocks)
		q.Ack(len(blocks))
	}
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if s := q.Stats(); s != (Stats{}) {
		t.Errorf("an empty queue tells %+v", s)
	}
}

func fillsUp(t *testing.T, newQueue maker) {
	q := newQueue(t, 10, nil)
	for _, id := range []byte("abcd") {
		q.Append(block(id, 40))
	}
	start := time.Now()
	if got := next(t, q, 100); got != "ab" {
		t.Errorf("got %q, want the two that fit", got)
	}
	if took := time.Since(start); took != 0 {
		t.Errorf("a full request waited %v", took)
	}
	q.Ack(2)
	if got := next(t, q, 80); got != "cd" {
		t.Errorf("got %q, want exactly the limit", got)
	}
	if took := time.Since(start); took != 0 {
		t.Errorf("a request of exactly the limit waited %v", took)
	}
}

func lingers(t *testing.T, newQueue maker) {
	q := newQueue(t, 10, nil)
	start := time.Now()
	q.Append(block('a', 1))
	time.AfterFunc(300*time.Millisecond, func() { q.Append(block('b', 1)) })
	if got := next(t, q, 100); got != "ab" {
		t.Errorf("got %q", got)
	}
	if took := time.Since(start); took != time.Second {
		t.Errorf("the oldest waited %v, want 1s", took)
	}
}

func largeAlone(t *testing.T, newQueue maker) {
	q := newQueue(t, 10, nil)
	q.Append(block('a', 500))
	q.Append(block('b', 1))
	if got := next(t, q, 100); got != "a" {
		t.Errorf("got %q", got)
	}
}

func oneRow(t *testing.T, newQueue maker) {
	q := newQueue(t, 20, nil)
	for _, row := range []struct {
		id     byte
		target uint64
		rowMs  int64
	}{{'a', 1, 10}, {'b', 1, 10}, {'c', 2, 11}, {'d', 0, 12}, {'e', 0, 13}, {'f', 1, 20}, {'g', 2, 21}, {'h', 2, 31}} {
		b := block(row.id, 1)
		b.Target, b.RowMs = row.target, row.rowMs
		q.Append(b)
	}
	for _, want := range []string{"abcde", "fg", "h"} {
		blocks, err := q.Next(t.Context(), Want{MaxSamples: 100, Linger: time.Second, OneRowPerTarget: true})
		if err != nil {
			t.Fatal(err)
		}
		if got := ids(blocks); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		q.Ack(len(blocks))
	}
}

func comesAgain(t *testing.T, newQueue maker) {
	q := newQueue(t, 10, nil)
	q.Append(block('a', 50))
	q.Append(block('b', 50))
	if got := next(t, q, 60); got != "a" {
		t.Errorf("got %q", got)
	}
	if got := next(t, q, 100); got != "ab" {
		t.Errorf("got %q, want a again", got)
	}
}

func partialAck(t *testing.T, newQueue maker) {
	q := newQueue(t, 10, nil)
	for _, id := range []byte("abcd") {
		q.Append(block(id, 25))
	}
	if got := next(t, q, 100); got != "abcd" {
		t.Errorf("got %q", got)
	}
	q.Ack(1)
	q.Ack(2)
	if got := next(t, q, 100); got != "d" {
		t.Errorf("got %q", got)
	}
}

func losesOldest(t *testing.T, newQueue maker) {
	lost := dropped{}
	q := newQueue(t, 4, lost.add)
	for _, id := range []byte("abcd") {
		q.Append(block(id, 10))
	}
	if got := next(t, q, 20); got != "ab" {
		t.Errorf("got %q", got)
	}
	for _, id := range []byte("efg") {
		q.Append(block(id, 10))
	}
	if diff := cmp.Diff(dropped{ReasonFull: 30}, lost); diff != "" { // c, d, e
		t.Error(diff)
	}
	q.Ack(1)
	q.Append(block('h', 10))
	q.Ack(1)
	if got := next(t, q, 100); got != "fgh" {
		t.Errorf("got %q, want what is left in order", got)
	}
}

func losesTooLarge(t *testing.T, newQueue maker) {
	lost := dropped{}
	q := newQueue(t, 2, lost.add)
	q.Append(block('a', 10))
	large := block('b', 7)
	large.Stream = make([]byte, 5000)
	q.Append(large)
	if got := next(t, q, 100); got != "a" {
		t.Errorf("got %q, want the small one kept", got)
	}
	if diff := cmp.Diff(dropped{ReasonFull: 7}, lost); diff != "" {
		t.Error(diff)
	}
}

func closes(t *testing.T, newQueue maker) {
	lost := dropped{}
	q := newQueue(t, 10, lost.add)
	start := time.Now()
	q.Append(block('a', 1))
	time.AfterFunc(100*time.Millisecond, q.Close)
	if got := next(t, q, 100); got != "a" {
		t.Errorf("got %q", got)
	}
	if took := time.Since(start); took != 100*time.Millisecond {
		t.Errorf("took %v", took)
	}
	q.Append(block('b', 3))
	q.Ack(1)
	if _, err := q.Next(t.Context(), Want{MaxSamples: 100, Linger: time.Second}); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v, want ErrClosed", err)
	}
	if diff := cmp.Diff(dropped{ReasonClosed: 3}, lost); diff != "" {
		t.Error(diff)
	}
}

func cancels(t *testing.T, newQueue maker) {
	q := newQueue(t, 10, nil)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := q.Next(ctx, Want{MaxSamples: 100, Linger: time.Second}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func tellsStats(t *testing.T, newQueue maker) {
	q := newQueue(t, 10, nil)
	start := time.Now()
	q.Append(block('a', 3))
	pass(time.Second)
	q.Append(block('b', 4))
	s := q.Stats()
	if s.Blocks != 2 || s.Samples != 7 || s.Bytes < 200 || !s.Oldest.Equal(start) {
		t.Errorf("got %+v", s)
	}
	next(t, q, 100)
	if again := q.Stats(); again != s {
		t.Errorf("blocks in flight changed the stats: %+v", again)
	}
	q.Ack(1)
	if s := q.Stats(); s.Samples != 4 || !s.Oldest.Equal(start.Add(time.Second)) {
		t.Errorf("got %+v", s)
	}
}

func wakes(t *testing.T, newQueue maker) {
	q := newQueue(t, 10, nil)
	start := time.Now()
	time.AfterFunc(90*time.Minute, func() { q.Append(block('a', 100)) })
	if got := next(t, q, 100); got != "a" {
		t.Errorf("got %q", got)
	}
	if took := time.Since(start); took != 90*time.Minute {
		t.Errorf("took %v", took)
	}
}

// pass lets time go by in a bubble.
func pass(d time.Duration) { <-time.After(d) }
