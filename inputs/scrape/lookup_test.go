package scrape

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// Whether a line or a set is found by the sketch, one by one or by an index is
// all the same: it is the first with its hash.
func TestLookupsFindTheFirstThatWasPut(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 7))
		kinds := uint64(1 + r.IntN(400))
		some := func() uint64 { return r.Uint64N(kinds) * 0x9e3779b97f4a7c15 }
		l := newLayout(testPage(1000), nil)
		for range 1 + r.IntN(100) {
			l.lines = append(l.lines, line{hash: some()})
			l.sets = append(l.sets, some())
		}
		w := l.begin(0)
		w.at = r.IntN(len(l.lines))
		for range 300 {
			hash := some()
			if r.IntN(2) == 0 {
				w.remember(line{hash: hash}, -1)
				w.addFresh(freshSeries{set: hash})
			}
			hash = some()
			line, lineOK := w.findLine(hash)
			if want, ok := firstLine(w, hash); ok != lineOK || ok && line != want {
				t.Fatalf("seed %d: line %d (%v), want %d (%v)", seed, line, lineOK, want, ok)
			}
			set, setOK := w.findSet(hash)
			all := append(slices.Clone(l.sets), setsOfFresh(w)...)
			if want := slices.Index(all, hash); setOK != (want >= 0) || setOK && int(set) != want {
				t.Fatalf("seed %d: column %d (%v), want %d", seed, set, setOK, want)
			}
		}
	}
}

func firstLine(w *walk, hash uint64) (int32, bool) {
	for i := range len(w.l.lines) + len(w.next) {
		if w.lineHash(int32(i)) == hash {
			return int32(i), true
		}
	}
	return 0, false
}

func setsOfFresh(w *walk) (sets []uint64) {
	for _, f := range w.fresh {
		sets = append(sets, f.set)
	}
	return sets
}

func TestAnIndexIsBuiltOnlyWhereMuchHasMoved(t *testing.T) {
	known := strings.SplitAfter(pods(upTo(2000)...), "\n")[:4000]
	for name, tt := range map[string]struct {
		page  []string
		index bool
	}{
		"nothing new":         {known, false},
		"a pod more":          {append(strings.SplitAfter(pods(5000), "\n"), known...), false},
		"a pod moved":         {slices.Concat(known[1000:1002], known[:1000], known[1002:]), false},
		"the other way round": {reversed(known), true},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLayout(testPage(1000), nil)
			l.rooms = &rooms{}
			if _, _, err := read(l, strings.Join(known, ""), 0, 1<<20); err != nil {
				t.Fatal(err)
			}
			_, w, err := read(l, strings.Join(tt.page, ""), 1, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			if got := w.lines.index.built(); got != tt.index {
				t.Errorf("an index of lines: %v", got)
			}
			if w.sets.index.built() {
				t.Error("an index of sets")
			}
		})
	}
}

func reversed(lines []string) []string {
	lines = slices.Clone(lines)
	slices.Reverse(lines)
	return lines
}

// A first page has more sets than any sketch was made for.
func TestTheSetsOfAFirstPageAreIndexed(t *testing.T) {
	_, w, err := read(newLayout(testPage(1000), nil), pods(upTo(1000)...), 0, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if !w.sets.index.built() || w.lines.ready() {
		t.Errorf("an index of sets: %v; something for lines: %v", w.sets.index.built(), w.lines.ready())
	}
	if _, ok := w.findSet(0); ok {
		t.Error("a set is found that was never put")
	}
}
