package scrape

import (
	"bytes"
	"hash/maphash"

	"kinglet"
)

// labelTable keeps encoded label sets with each label once. A page of 20,000 fresh
// series with 500 bytes of labels each would else be the largest that kinglet ever
// holds, and what it holds once its memory is for long. Labels are told apart by a
// seeded hash of 64 bits, as lines are.
type labelTable struct {
	seed   maphash.Seed
	index  index
	hashes []uint64   // by label
	at     []uint32   // by label: the number of its piece, and where it begins in it
	texts  [][]byte   // pieces of labels, as encoded, which tells how long each is
	sets   [][]uint32 // pieces of sets: the number of labels, and those
}

// Bits of a place that are the offset in a piece. Pieces have that size, unless
// one thing alone is larger.
const (
	textBits = 16 // bytes
	setBits  = 14 // numbers
)

func newLabelTable(seed maphash.Seed) *labelTable {
	t := &labelTable{seed: seed}
	t.index = newIndex(nil, 512, func(label int32) uint64 { return t.hashes[label] })
	return t
}

// add adds a set, of which nothing is kept but copies. It tells its place, and how
// many of its labels are new.
func (t *labelTable) add(encoded []byte) (set uint32, fresh int) {
	n := 0
	for rest := encoded; len(rest) > 0; n++ {
		rest = rest[labelLength(rest):]
	}
	last := len(t.sets) - 1
	if last < 0 || cap(t.sets[last])-len(t.sets[last]) < n+1 {
		t.sets = append(t.sets, make([]uint32, 0, max(1<<setBits, n+1)))
		last++
	}
	set = uint32(last<<setBits | len(t.sets[last]))
	numbers := append(t.sets[last], uint32(n))
	for known := len(t.at); len(encoded) > 0; fresh = len(t.at) - known {
		length := labelLength(encoded)
		numbers = append(numbers, t.label(encoded[:length]))
		encoded = encoded[length:]
	}
	t.sets[last] = numbers
	return set, fresh
}

// label is the number of a label.
func (t *labelTable) label(encoded []byte) uint32 {
	hash := maphash.Bytes(t.seed, encoded)
	if number, ok := t.index.find(hash); ok {
		return uint32(number)
	}
	last := len(t.texts) - 1
	if last < 0 || cap(t.texts[last])-len(t.texts[last]) < len(encoded) {
		t.texts = append(t.texts, make([]byte, 0, max(1<<textBits, len(encoded))))
		last++
	}
	number := len(t.at)
	t.at = append(t.at, uint32(last<<textBits|len(t.texts[last])))
	t.hashes = append(t.hashes, hash)
	t.texts[last] = append(t.texts[last], encoded...)
	t.index.put(hash, int32(number))
	return uint32(number)
}

// labelLength is the length of the label that encoded labels begin with.
func labelLength(encoded []byte) int {
	_, _, rest := kinglet.CutLabel(encoded)
	return len(encoded) - len(rest)
}

func (t *labelTable) labels(set uint32) []uint32 {
	piece := t.sets[set>>setBits][set&(1<<setBits-1):]
	return piece[1 : 1+piece[0]]
}

func (t *labelTable) text(label uint32) []byte {
	at := t.at[label]
	piece := t.texts[at>>textBits][at&(1<<textBits-1):]
	return piece[:labelLength(piece)]
}

// appendSet appends a set as it was added.
func (t *labelTable) appendSet(dst []byte, set uint32) []byte {
	for _, label := range t.labels(set) {
		dst = append(dst, t.text(label)...)
	}
	return dst
}

// size is the length of what appendSet appends.
func (t *labelTable) size(set uint32) (n int) {
	for _, label := range t.labels(set) {
		n += len(t.text(label))
	}
	return n
}

// compare is the order of byLabelsThenName.
func (t *labelTable) compare(a, b uint32) int {
	aName, aRest := t.cutMetricName(t.labels(a))
	bName, bRest := t.cutMetricName(t.labels(b))
	for i := range min(len(aRest), len(bRest)) {
		if aRest[i] != bRest[i] { // neither is the beginning of the other: both begin with their length
			return bytes.Compare(t.text(aRest[i]), t.text(bRest[i]))
		}
	}
	if len(aRest) != len(bRest) {
		return len(aRest) - len(bRest)
	}
	return bytes.Compare(aName, bName)
}

func (t *labelTable) cutMetricName(labels []uint32) (name []byte, rest []uint32) {
	if name, _ = cutMetricName(t.text(labels[0])); name == nil {
		return nil, labels
	}
	return name, labels[1:]
}
