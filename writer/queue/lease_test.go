package queue

import (
	"testing"
	"time"
)

func TestALeaseIsUsedAgainWhenAllAreDone(t *testing.T) {
	var l Lender
	first := l.Lend(5000)
	first.Hold()
	first.Done()
	if second := l.Lend(5000); second == first {
		t.Fatal("memory that is held was lent again")
	}
	first.Done()
	seen, again := map[*Lease]bool{}, false
	for range 100 { // a pool may forget, and under the race detector does so at will
		lease := l.Lend(5000)
		again = again || seen[lease]
		seen[lease] = true
		lease.Done()
	}
	if !again {
		t.Error("memory that nobody holds is not used again")
	}
	defer func() {
		if recover() == nil {
			t.Error("a lease that is ended twice goes unnoticed")
		}
	}()
	(*Lease)(nil).Done()
	once := l.Lend(1)
	once.Done()
	once.Done()
}

func TestLentMemoryIsLargeEnoughAndNotMuchLarger(t *testing.T) {
	var l Lender
	sizes := map[int]int{}
	for size := 1; size < 3<<20; size += 1 + size/50 {
		memory := l.Lend(size).Memory()
		if len(memory) != 0 || cap(memory) < size || cap(memory) > size+size/4+1 {
			t.Errorf("%d bytes asked, %d lent", size, cap(memory))
		}
		if size >= minLent && size <= 1<<maxLentBits {
			shelf := shelfOf(roundUp(size))
			if was, ok := sizes[shelf]; ok && was != cap(memory) {
				t.Errorf("shelf %d holds %d and %d bytes", shelf, was, cap(memory))
			}
			sizes[shelf] = cap(memory)
		}
	}
}

func TestMemoryHoldsWhatItKeeps(t *testing.T) {
	var l Lender
	lent := func() Block {
		lease := l.Lend(1000)
		return Block{Stream: append(lease.Memory(), make([]byte, 100)...), Samples: 10, Lease: lease}
	}
	blocks := []Block{lent(), lent(), lent(), lent(), lent(), lent()}
	holders := func() (all [6]int32) {
		for i, b := range blocks {
			all[i] = b.Lease.holders.Load()
		}
		return all
	}
	q := NewMemory(3*(100+blockOverhead), nil)
	for _, b := range blocks[:3] {
		q.Append(b)
	}
	want := Want{MaxSamples: 10, Linger: time.Second}
	if _, err := q.Next(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	q.Append(blocks[3]) // the second has to go: the first is in flight
	if got, want := holders(), [6]int32{2, 1, 2, 2, 1, 1}; got != want {
		t.Errorf("holders %v, want %v", got, want)
	}
	q.Ack(1)
	if _, err := q.Next(t.Context(), Want{MaxSamples: 30}); err != nil {
		t.Fatal(err)
	}
	q.Ack(2)
	large := blocks[4]
	large.Stream = make([]byte, 10_000)
	q.Append(large)
	q.Close()
	q.Append(blocks[5])
	if got, want := holders(), [6]int32{1, 1, 1, 1, 1, 1}; got != want {
		t.Errorf("holders %v, want %v", got, want)
	}
}
