package scrape

import (
	"cmp"
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"kinglet"
)

// labelSets are encoded label sets of many kinds, some of them equal.
func labelSets(n int) [][]byte {
	r := rand.New(rand.NewPCG(7, 9))
	sets := make([][]byte, n)
	for i := range sets {
		labels := []kinglet.Label{{Name: kinglet.MetricNameLabel, Value: fmt.Sprint("m", r.IntN(5))}}
		for _, name := range []string{"A", "a", "aa", "b", "c"} { // A sorts before the metric name
			if r.IntN(2) == 0 {
				labels = append(labels, kinglet.Label{Name: name, Value: strings.Repeat("x", r.IntN(150)+1) + fmt.Sprint(r.IntN(3))})
			}
		}
		switch i % 100 {
		case 0: // longer than a piece
			labels = append(labels, kinglet.Label{Name: "long", Value: strings.Repeat("y", 70_000)})
		case 1: // more labels than a piece holds numbers
			for j := range 1 << setBits {
				labels = append(labels, kinglet.Label{Name: fmt.Sprintf("l%05d", j), Value: "1"})
			}
		}
		slices.SortFunc(labels, byName)
		sets[i] = kinglet.AppendEncodedLabels(nil, labels)
	}
	return sets
}

func TestALabelTableGivesWhatWasAdded(t *testing.T) {
	sets := labelSets(500)
	table := newLabelTable(maphash.MakeSeed())
	places := make([]uint32, len(sets))
	for i, set := range sets {
		places[i], _ = table.add(set)
	}
	for i, set := range sets {
		if got := table.appendSet(nil, places[i]); string(got) != string(set) || table.size(places[i]) != len(set) {
			t.Fatalf("set %d: %d bytes, said to be %d, of %d", i, len(got), table.size(places[i]), len(set))
		}
	}
	if _, fresh := table.add(sets[2]); fresh != 0 {
		t.Errorf("%d labels of a set that was added before are new", fresh)
	}
}

func TestALabelTableOrdersAsColumnsAre(t *testing.T) {
	sets := labelSets(99)
	table := newLabelTable(maphash.MakeSeed())
	for i, a := range sets {
		for j, b := range sets[:i] {
			want := byLabelsThenName(column{EncodedSeries: kinglet.EncodedSeries{Labels: a}}, column{EncodedSeries: kinglet.EncodedSeries{Labels: b}})
			at, _ := table.add(a)
			bt, _ := table.add(b)
			if got := table.compare(at, bt); cmp.Compare(got, 0) != want {
				t.Fatalf("sets %d and %d: %d, want %d\n%q\n%q", i, j, got, want, a, b)
			}
		}
	}
}

// A page of many series whose labels are not many must not be held in memory as
// it is sent: at the end of the first one no scrape is larger.
func TestTheFirstPageTakesLittleMemory(t *testing.T) {
	const containers, metrics = 200, 40
	var page strings.Builder
	for m := range metrics {
		for c := range containers {
			fmt.Fprintf(&page, "container_metric_%d{id=\"/kubepods/pod%064d\",image=\"registry.example.com/team/app@sha256:%064d\",name=\"%064d\"} 1\n", m, c, c, c)
		}
	}
	l := newLayout(testPage(1000), nil)
	w := l.begin(1000)
	text := []byte(page.String())
	page.Reset()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	if _, err := w.feed(text); err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	const most = 200 // bytes of a series, whose labels are 350
	if per := int(after.HeapAlloc-before.HeapAlloc) / (containers * metrics); per > most {
		t.Errorf("a fresh series takes %d bytes, want at most %d", per, most)
	}
	if rows := w.commit(); len(rows) != containers*metrics/1000 {
		t.Errorf("%d rows, want one for each 1000 series", len(rows))
	}
}
