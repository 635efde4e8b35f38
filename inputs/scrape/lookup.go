package scrape

// Most lines of a page that were not where they are expected are new, and mostly
// there are few of them. That a line, or a label set, is new is said by a sketch,
// which is a quarter of the work of an index; what the sketch does not rule out is
// looked for one by one. Only a page on which that happens often, as when all of
// its lines have moved, is worth an index.

// lookup is how a walk finds lines, or label sets. It makes nothing before it is
// needed.
type lookup struct {
	sketch sketch
	index  index
	scans  int
}

// mostScans is how often all lines are gone through before an index is built,
// which takes the time of about ten. More would gain little: a sketch lets few new
// ones pass.
const mostScans = 4

// ready reports whether something was made.
func (x *lookup) ready() bool { return x.sketch.bits != nil }

// put adds a number to what was made.
func (x *lookup) put(hash uint64, number int32) {
	switch {
	case x.index.built():
		x.index.put(hash, number)
	case x.ready():
		x.sketch.put(hash)
	}
}

// scan reports whether to go through all, instead of building an index.
func (x *lookup) scan() bool {
	x.scans++
	return x.scans <= mostScans && x.sketch.room >= 0
}

// memory is what was made, or what was there where nothing was.
func (x *lookup) memory(slots []int32, bits []uint64) ([]int32, []uint64) {
	if x.index.built() {
		slots = x.index.slots
	}
	if x.ready() {
		bits = x.sketch.bits
	}
	return slots, bits
}

// findLine is the number of a line by its hash: its place in l.lines, or in next
// from len(l.lines) on. It is the first with that hash.
func (w *walk) findLine(hash uint64) (number int32, ok bool) {
	x, known := &w.lines, w.l.lines
	if x.index.built() {
		return x.index.find(hash)
	}
	if !x.ready() {
		x.sketch = newSketch(w.need().lineBits, len(known))
		for i := range known {
			x.sketch.put(known[i].hash)
		}
		for _, e := range w.newLines() {
			x.sketch.put(e.hash)
		}
	}
	if !x.sketch.has(hash) {
		return 0, false
	}
	if x.scan() {
		for i := range known {
			if known[i].hash == hash {
				return int32(i), true
			}
		}
		for i, e := range w.newLines() {
			if e.hash == hash {
				return int32(len(known) + w.newFrom + i), true
			}
		}
		return 0, false
	}
	x.index = newIndex(w.need().lines, len(known)+16, w.lineHash)
	for i, e := range known {
		x.index.put(e.hash, int32(i))
	}
	for i, e := range w.newLines() {
		x.index.put(e.hash, int32(len(known)+w.newFrom+i))
	}
	return x.index.find(hash)
}

// newLines is the end of next, with all lines that are not the layout's.
func (w *walk) newLines() []line {
	if w.newFrom < 0 {
		return nil
	}
	return w.next[w.newFrom:]
}

// lineHash is the hash of a line by its number.
func (w *walk) lineHash(number int32) uint64 {
	if known := w.l.lines; int(number) < len(known) {
		return known[number].hash
	}
	return w.next[int(number)-len(w.l.lines)].hash
}

// findSet is the column of a label set by its hash, the first that has it.
func (w *walk) findSet(set uint64) (column int32, ok bool) {
	x, known := &w.sets, w.l.sets
	if x.index.built() {
		return x.index.find(set)
	}
	if !x.ready() {
		x.sketch = newSketch(w.need().setBits, len(known))
		for _, set := range known {
			x.sketch.put(set)
		}
		for i := range w.fresh {
			x.sketch.put(w.fresh[i].set)
		}
	}
	if !x.sketch.has(set) {
		return 0, false
	}
	if x.scan() {
		for i := range known {
			if known[i] == set {
				return int32(i), true
			}
		}
		for i := range w.fresh {
			if w.fresh[i].set == set {
				return int32(len(known) + i), true
			}
		}
		return 0, false
	}
	x.index = newIndex(w.need().byLabel, len(known)+len(w.fresh)+16, w.setOf)
	for i, set := range known {
		x.index.put(set, int32(i))
	}
	for i := range w.fresh {
		x.index.put(w.fresh[i].set, int32(len(known)+i))
	}
	return x.index.find(set)
}

// sketch tells most hashes that were not put from those that were. One in
// sixteen or more passes for one that was, in a sketch that is full.
type sketch struct {
	bits []uint64
	room int // hashes that may be put before it is full
}

// bitsPerHash is how many bits a sketch has for each hash, at least.
const bitsPerHash = 16

// newSketch makes a sketch for n hashes and some more, in the memory of bits if
// there is enough of it.
func newSketch(bits []uint64, n int) sketch {
	n += n/8 + 64
	size := 16
	for 64*size < bitsPerHash*n {
		size *= 2
	}
	if cap(bits) < size {
		bits = make([]uint64, size)
	}
	bits = bits[:size]
	clear(bits)
	return sketch{bits: bits, room: 64 * size / bitsPerHash}
}

func (s *sketch) put(hash uint64) {
	s.bits[hash/64&uint64(len(s.bits)-1)] |= 1 << (hash % 64)
	s.room--
}

// has reports whether hash may have been put; if not, it was not.
func (s *sketch) has(hash uint64) bool {
	return s.bits[hash/64&uint64(len(s.bits)-1)]&(1<<(hash%64)) != 0
}
