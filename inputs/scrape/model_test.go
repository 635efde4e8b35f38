package scrape

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kinglet"
	"kinglet/inputs/promtext"
)

// The walk by layout is checked against a model that knows no layout: each
// page parsed as a whole, its series in a map, markers by comparing two maps.

// model is what was live after the last page.
type model struct {
	cfg  PageConfig
	live map[string]bool  // series; true if all its samples had their own timestamps
	sent map[string]int64 // time of the newest sample or marker of a series of the last good page
}

// expect is what a scrape of page must push, sorted; ok says whether the page is good.
func (m *model) expect(t *testing.T, page string, timeMs int64) (lines []string, ok bool) {
	t.Helper()
	now := map[string]bool{}
	seen, sent := map[string]bool{}, map[string]int64{}
	err := promtext.Parse([]byte(page), promtext.Text, promtext.Options{}, func(s *promtext.Sample) error {
		labels, err := s.AppendLabels(nil)
		if err != nil {
			return err
		}
		var f family
		if meta := s.Meta(); meta != nil {
			f = family{meta.Family, meta.Type}
		}
		made, err := m.cfg.Labels.series(labels, f)
		if err != nil || made.labels == nil {
			return err
		}
		at := timeMs
		if s.TimestampMs != kinglet.NoTime && m.cfg.HonorTimestamps {
			at = s.TimestampMs
		}
		series := textOf(made.labels)
		if key := fmt.Sprint(series, at); !seen[key] {
			seen[key] = true
			if last, known := m.sent[series]; !known || at > last {
				lines = append(lines, sampleText(series, s.Value, at))
				sent[series] = max(at, sent[series])
			} else if _, newer := sent[series]; !newer {
				sent[series] = last
			}
		}
		timed, before := now[series]
		now[series] = (timed || !before) && s.TimestampMs != kinglet.NoTime && m.cfg.HonorTimestamps
		return nil
	})
	if err != nil {
		lines, now, sent = nil, nil, m.sent
	}
	for series, timed := range m.live {
		if _, still := now[series]; !still && !timed {
			lines = append(lines, sampleText(series, kinglet.Stale(), timeMs))
			if err != nil {
				sent[series] = max(timeMs, sent[series])
			}
		}
	}
	m.live, m.sent = now, sent
	slices.Sort(lines)
	return lines, err == nil
}

func sampleText(series string, value float64, timeMs int64) string {
	if kinglet.IsStale(value) {
		return fmt.Sprintf("%s stale @%d", series, timeMs)
	}
	return fmt.Sprintf("%s %v @%d", series, value, timeMs)
}

func textOf(labels []kinglet.Label) string {
	pairs := make([]string, len(labels))
	for i, l := range labels {
		pairs[i] = fmt.Sprintf("%s=%q", l.Name, l.Value)
	}
	return "{" + strings.Join(pairs, ",") + "}"
}

// rowLines writes rows as the model does, and checks that they are well formed.
func rowLines(t *testing.T, rows []*kinglet.Row) []string {
	t.Helper()
	var lines []string
	for _, row := range rows {
		if len(row.Values) != row.Shape.Len() || (row.TimesMs != nil && len(row.TimesMs) != len(row.Values)) {
			t.Fatalf("a row of %d values and %d times for a shape of %d columns", len(row.Values), len(row.TimesMs), row.Shape.Len())
		}
		for i, value := range row.Values {
			if kinglet.IsAbsent(value) {
				continue
			}
			at := row.TimestampMs
			if row.TimesMs != nil && row.TimesMs[i] != kinglet.NoTime {
				at = row.TimesMs[i]
			}
			lines = append(lines, sampleText(textOf(row.Shape.AppendLabels(nil, i)), value, at))
		}
	}
	slices.Sort(lines)
	return lines
}

// read is a scrape of page by the layout, fed in pieces.
func read(l *layout, page string, timeMs int64, piece int) (rows []*kinglet.Row, w *walk, err error) {
	w = l.begin(timeMs)
	var rest []byte
	for at := 0; at < len(page) && err == nil; at += piece {
		rest = append(slices.Clone(rest), page[at:min(at+piece, len(page))]...)
		rest, err = w.feed(rest)
	}
	if err == nil {
		err = w.finish(rest)
	}
	if err != nil {
		w.abandon()
		return l.fail(timeMs), w, err
	}
	return w.commit(), w, nil
}

func testPage(columns int) PageConfig {
	return PageConfig{Labels: NewLabeler(LabelConfig{
		Target: []kinglet.Label{{Name: "instance", Value: "i"}},
	}), HonorTimestamps: true, MaxColumns: columns}
}

// mutate changes a page as targets do: lines come, go, move, repeat and get
// timestamps.
func mutate(r *rand.Rand, lines []string) []string {
	lines = slices.Clone(lines)
	for range r.IntN(4) {
		i := r.IntN(len(lines) + 1)
		switch r.IntN(8) {
		case 0, 1: // comes
			line := fmt.Sprintf("m%d{a=\"%d\"} %d", r.IntN(5), r.IntN(20), r.IntN(100))
			lines = slices.Insert(lines, i, line)
		case 2, 3: // goes
			if i < len(lines) {
				lines = slices.Delete(lines, i, min(len(lines), i+1+r.IntN(3)))
			}
		case 4: // another text, or timestamp
			lines = slices.Insert(lines, i, fmt.Sprintf("m{b=\"%d\" , a=\"1\"} 7 %d", r.IntN(3), 1000*r.IntN(3)))
		case 5:
			lines = slices.Insert(lines, i, fmt.Sprintf("m{a=\"1\",b=\"%d\"} 8", r.IntN(3)))
		case 6:
			lines = slices.Insert(lines, i, "# TYPE m"+fmt.Sprint(r.IntN(3))+" counter")
		case 7:
			if len(lines) > 1 {
				r.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
			}
		}
	}
	for i, line := range lines { // values move
		if series, rest, ok := strings.Cut(line, "} "); ok && r.IntN(3) == 0 && !strings.Contains(rest, " ") {
			lines[i] = fmt.Sprintf("%s} %d", series, r.IntN(1000))
		}
	}
	return lines
}

func TestWalkGivesWhatAWholeParseGives(t *testing.T) {
	var shared rooms // what one page leaves in a room is in the way of none
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		cfg := testPage(1 + r.IntN(9))
		cfg.HonorTimestamps = r.IntN(2) == 0
		l := newLayout(cfg, nil)
		l.rooms = &shared
		l.plainBytes = []int{0, 200, plainBytes}[seed%3] // labels in a table from the first on, from some time on, never
		m := &model{cfg: cfg}
		lines := []string{"# HELP m help", "m 1", "n{le=\"0.5\"} 2"}
		for round := range 25 {
			page := strings.Join(lines, "\n")
			if r.IntN(10) == 0 {
				page += "\nbad line{"
			}
			timeMs := int64(1_000_000 + 15_000*round)
			want, good := m.expect(t, page, timeMs)
			rows, w, err := read(l, page, timeMs, 1+r.IntN(200))
			w.done()
			if good != (err == nil) {
				t.Fatalf("seed %d round %d: error %v", seed, round, err)
			}
			if diff := cmp.Diff(want, rowLines(t, rows)); diff != "" {
				t.Fatalf("seed %d round %d, page\n%s\n%s", seed, round, page, diff)
			}
			checkLayout(t, l)
			lines = mutate(r, lines)
		}
	}
}

// checkLayout holds a layout against its own rules.
func checkLayout(t *testing.T, l *layout) {
	t.Helper()
	at := int32(0)
	for _, p := range l.parts {
		if p.from != at || p.len() != p.shape.Len() || p.len() == 0 || p.len() > l.cfg.maxColumns() {
			t.Fatalf("part [%d:%d) of a shape of %d columns begins at %d", p.from, p.to, p.shape.Len(), at)
		}
		at = p.to
	}
	if int(at) != l.columns() {
		t.Fatalf("%d columns in parts, %d in the layout", at, l.columns())
	}
	ended := 0
	for _, e := range l.ended {
		if e {
			ended++
		}
	}
	if ended != l.endedCount || len(l.ended) != l.columns() {
		t.Fatalf("%d of %d columns have ended, %d of %d as counted", ended, len(l.ended), l.endedCount, l.columns())
	}
	for _, e := range l.lines {
		if e.ref >= 0 && l.alive && l.hasEnded(e.ref) {
			t.Fatalf("a line refers to column %d, which has ended", e.ref)
		}
		if int(e.ref) >= l.columns() {
			t.Fatalf("a line refers to column %d of %d", e.ref, l.columns())
		}
		if e.ref <= refFamily && int(refFamily-e.ref) >= len(l.families) {
			t.Fatalf("a line refers to family %d of %d", refFamily-e.ref, len(l.families))
		}
	}
}

// FuzzWalk reads two pages by turns and holds every scrape against the model.
func FuzzWalk(f *testing.F) {
	f.Add("# HELP m h\n# TYPE m counter\nm 1\nn{a=\"b\"} 2 3\n", "m 2\n\n# x\nn{a=\"b\"} 2 4\nn{a=\"b\",} 2 5\n", uint8(3), true)
	f.Add("a 1\na 2\na 3 1\n", "a 1\na 2 1\na 3", uint8(1), true)
	f.Add(" a{x=\"1\"}1\n\ta 2\r\n", "a{x=\"1\"} 1\nab 2\n{\"a\"} 3\n", uint8(200), false)
	f.Add("a{b=\"c\"} NaN\na{b=\"} 1\n", "x{y=\"}\"} +Inf\nx{y=\"}\",z=\"\"} 1e9\n", uint8(9), false)
	f.Fuzz(func(t *testing.T, one, two string, piece uint8, honor bool) {
		cfg := testPage(1 + int(piece)%5)
		cfg.HonorTimestamps = honor
		l, m := newLayout(cfg, nil), &model{cfg: cfg}
		l.rooms = &rooms{}
		for round, page := range []string{one, two, two, one, one, two} {
			timeMs := int64(1000 * round)
			want, good := m.expect(t, page, timeMs)
			rows, w, err := read(l, page, timeMs, 1+int(piece))
			w.done()
			if good != (err == nil) {
				t.Fatalf("round %d, page %q: error %v", round, page, err)
			}
			if diff := cmp.Diff(want, rowLines(t, rows)); diff != "" {
				t.Fatalf("round %d, page %q: %s", round, page, diff)
			}
			checkLayout(t, l)
		}
	})
}
