package scrape

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"kinglet"
)

// pods is a page of two metrics for each of the pods.
func pods(names ...int) string {
	var page strings.Builder
	for _, metric := range []string{"cpu", "memory"} {
		for _, n := range names {
			fmt.Fprintf(&page, "%s{pod=\"%05d\"} %d\n", metric, n, n)
		}
	}
	return page.String()
}

func upTo(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

func TestChurnRemakesOnlyWhatItTouches(t *testing.T) {
	l := newLayout(testPage(100), nil)
	scrape := func(page string) int {
		t.Helper()
		_, w, err := read(l, page, 0, 1<<16)
		if err != nil {
			t.Fatal(err)
		}
		checkLayout(t, l)
		return w.shapesMade
	}
	names := upTo(1000)
	if made := scrape(pods(names...)); made != 20 {
		t.Errorf("2000 series in shapes of 100 made %d shapes", made)
	}
	names = slices.Delete(names, 500, 501)
	if made := scrape(pods(names...)); made != 0 { // its columns stay, without samples
		t.Errorf("a pod that went made %d shapes", made)
	}
	made := 0
	for n := range 500 { // a pod is replaced by another, again and again
		names = append(slices.Delete(names, n%len(names), n%len(names)+1), 2000+n)
		made += scrape(pods(names...))
	}
	if made > 1000 {
		t.Errorf("500 replacements made %d shapes", made)
	}
	if n := len(l.parts); n > 60 {
		t.Errorf("%d parts after churn", n)
	}
	if n := l.columns(); n > 2*len(names)*2 {
		t.Errorf("%d columns for %d series after churn", n, 2*len(names))
	}
}

func TestSeriesAreOrderedByLabelsWithoutTheirName(t *testing.T) {
	l := newLayout(testPage(1000), nil)
	rows, _, err := read(l, "b{x=\"2\"} 1\na{x=\"2\"} 1\nc 1\nb{x=\"1\",y=\"1\"} 1\nb{x=\"1\"} 1\n", 0, 1<<16)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i := range rows[0].Shape.Len() {
		labels := rows[0].Shape.AppendLabels(nil, i)
		got = append(got, nameOf(labels)+fmt.Sprint(len(labels)))
	}
	if want := []string{"c2", "b3", "b4", "a3", "b3"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestARowBelongsToItsTaker(t *testing.T) {
	l := newLayout(testPage(10), nil)
	first, _, _ := read(l, pods(1, 2), 0, 1<<16)
	before := rowLines(t, first)
	for _, row := range first {
		for i := range row.Values {
			row.Values[i] = -1 // the writer may do as it likes
		}
	}
	second, _, _ := read(l, pods(1, 2), 0, 1<<16)
	if got := rowLines(t, second); !slices.Equal(got, before) {
		t.Errorf("got %v, want %v", got, before)
	}
	if first[0].Shape != second[0].Shape {
		t.Error("a page that stood still got another shape")
	}
}

func TestTrackedTimestampsEndWithMarkers(t *testing.T) {
	for _, track := range []bool{false, true} {
		cfg := testPage(10)
		cfg.TrackTimestampsStaleness = track
		l := newLayout(cfg, nil)
		read(l, "m 1 5000\nn 1\n", 6000, 100)
		rows, _, _ := read(l, "n 1\n", 9000, 100)
		marked := slices.Contains(rowLines(t, rows), sampleText(`{__name__="m",instance="i"}`, kinglet.Stale(), 9000))
		if marked != track {
			t.Errorf("tracking %v: marked %v", track, marked)
		}
	}
}

func TestASeriesThatComesBackIsHeldToItsMarker(t *testing.T) {
	cfg := testPage(10)
	cfg.TrackTimestampsStaleness = true
	l := newLayout(cfg, nil)
	read(l, "m 1 5000\nn 1\n", 6000, 100)
	read(l, "n 1\n", 9000, 100) // m is ended at 9000
	rows, w, err := read(l, "m 2 8000\nn 1\n", 12000, 100)
	if err != nil {
		t.Fatal(err)
	}
	if lines := rowLines(t, rows); slices.ContainsFunc(lines, func(line string) bool { return strings.Contains(line, `__name__="m"`) }) || w.outOfOrder != 1 {
		t.Errorf("a sample from before the marker is sent, or not counted (%d): %v", w.outOfOrder, lines)
	}
	rows, _, _ = read(l, "m 3 13000\nn 1\n", 15000, 100)
	if lines := rowLines(t, rows); !slices.ContainsFunc(lines, func(line string) bool { return strings.Contains(line, `__name__="m"`) }) {
		t.Errorf("a sample from after the marker is not sent: %v", lines)
	}
}
