package scrape

// index finds a number by a 64-bit hash, which the numbered thing itself knows.
// It is built only in a scrape whose page differs from the last one, and let go
// of afterwards: open addressing with linear probing, at most half full.
type index struct {
	slots []int32 // number+1, so that a zero slot is free
	used  int
	hash  func(number int32) uint64
}

// newIndex makes an index with room for n entries, in memory that is slots if
// there is enough of it. hash gives the hash of every number that was put.
func newIndex(slots []int32, n int, hash func(number int32) uint64) index {
	size := 16
	for size < 2*n {
		size *= 2
	}
	if cap(slots) < size {
		slots = make([]int32, size)
	}
	slots = slots[:size]
	clear(slots)
	return index{slots: slots, hash: hash}
}

// built reports whether the index was made.
func (x *index) built() bool { return x.slots != nil }

// find is the number that was put first under hash.
func (x *index) find(hash uint64) (number int32, ok bool) {
	mask := uint64(len(x.slots) - 1)
	for i := hash & mask; x.slots[i] != 0; i = (i + 1) & mask {
		if number := x.slots[i] - 1; x.hash(number) == hash {
			return number, true
		}
	}
	return 0, false
}

// put adds a number; a hash that is there already keeps its number.
func (x *index) put(hash uint64, number int32) {
	if 2*(x.used+1) > len(x.slots) {
		x.grow()
	}
	mask := uint64(len(x.slots) - 1)
	i := hash & mask
	for ; x.slots[i] != 0; i = (i + 1) & mask {
		if x.hash(x.slots[i]-1) == hash {
			return
		}
	}
	x.slots[i] = number + 1
	x.used++
}

func (x *index) grow() {
	old := x.slots
	*x = newIndex(nil, len(old), x.hash)
	for _, number := range old {
		if number != 0 {
			x.put(x.hash(number-1), number-1)
		}
	}
}
