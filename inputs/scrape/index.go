package scrape

// index finds a number by a 64-bit hash. It is built only in a scrape whose
// page differs from the last one, and let go of afterwards: open addressing
// with linear probing, at most half full. The zero value is empty.
type index struct {
	slots []slot
	used  int
}

// slot holds number+1, so that a zero slot is free.
type slot struct {
	hash   uint64
	number int32
}

// newIndex makes an index with room for n entries.
func newIndex(n int) index {
	size := 16
	for size < 2*n {
		size *= 2
	}
	return index{slots: make([]slot, size)}
}

// built reports whether the index was made.
func (x *index) built() bool { return x.slots != nil }

// find is the number that was put first under hash.
func (x *index) find(hash uint64) (number int32, ok bool) {
	mask := uint64(len(x.slots) - 1)
	for i := hash & mask; x.slots[i].number != 0; i = (i + 1) & mask {
		if x.slots[i].hash == hash {
			return x.slots[i].number - 1, true
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
	for ; x.slots[i].number != 0; i = (i + 1) & mask {
		if x.slots[i].hash == hash {
			return
		}
	}
	x.slots[i] = slot{hash, number + 1}
	x.used++
}

func (x *index) grow() {
	old := x.slots
	*x = newIndex(len(old))
	for _, s := range old {
		if s.number != 0 {
			x.put(s.hash, s.number-1)
		}
	}
}
