package scrape

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"kinglet/inputs/promtext"
)

// seriesPage has n series of a name, from the one of number from on.
func seriesPage(name string, from, n int) string {
	var page strings.Builder
	for i := range n {
		fmt.Fprintf(&page, "%s{i=\"%d\"} 1\n", name, from+i)
	}
	return page.String()
}

const memoryLimitText = "memory_limit: with this page kinglet would remember more than the 100 series that its memory is for: " +
	"raise the container's memory limit, or keep less of the page with metrics_drop or sample_limit"

func TestTargetsShareABoundedMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, out := newManager(t), &collector{}
		m.LimitSeries(100)
		small := &script{pages: []string{seriesPage("s", 0, 60)}}
		greedy := &script{pages: []string{seriesPage("g", 0, 41), seriesPage("g", 0, 41), seriesPage("g", 0, 20), seriesPage("g", 20, 30)}}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		m.Update([]Target{small.target("small")})
		go m.Run(ctx, out)
		after(time.Second)
		m.Update([]Target{small.target("small"), greedy.target("greedy")})
		after(time.Second)
		state := func() (up bool, text string) {
			for _, target := range m.Targets() {
				if strings.Contains(target.URL, "greedy") {
					return target.Up, target.Error
				}
			}
			return false, "no such target"
		}
		if up, text := state(); up || text != memoryLimitText {
			t.Errorf("one series too many: up %v, %s", up, text)
		}
		after(time.Minute)
		if up, text := state(); !up {
			t.Errorf("with 90 series: %s", text)
		}
		for _, target := range m.Targets() {
			if !target.Up {
				t.Errorf("%s: %s", target.URL, target.Error)
			}
		}
		if used := m.budget.used.Load(); used != 90*seriesBytes {
			t.Errorf("%d bytes are charged, want %d", used, 90*seriesBytes)
		}
		if n := testutil.ToFloat64(m.metrics.failures.WithLabelValues("test", "memory_limit")); n < 1 || n > 3 {
			t.Errorf("%v failures counted", n)
		}
		m.Update([]Target{greedy.target("greedy")})
		after(time.Minute)
		if used := m.budget.used.Load(); used != 30*seriesBytes {
			t.Errorf("%d bytes are charged for the target that stays, want %d", used, 30*seriesBytes)
		}
		cancel()
		synctest.Wait()
		if used := m.budget.used.Load(); used != 0 {
			t.Errorf("%d bytes are charged after the end", used)
		}
	})
}

func TestAReloadNeedsNoSecondMemory(t *testing.T) {
	inBubble(t, func(t *testing.T, m *Manager, _ *collector, _ time.Time, _ func()) {
		m.LimitSeries(100)
		s := &script{pages: []string{seriesPage("s", 0, 90)}}
		m.Update([]Target{s.target("t")})
		after(5 * time.Second)
		changed := s.target("t")
		changed.Settings = "2"
		m.Update([]Target{changed})
		after(10 * time.Second)
		if got := m.Targets()[0]; !got.Up {
			t.Errorf("after a reload: %s", got.Error)
		}
		if used := m.budget.used.Load(); used != 90*seriesBytes {
			t.Errorf("%d bytes are charged", used)
		}
	})
}

func TestWhateverAPageBringsIsCharged(t *testing.T) {
	var comments, dropped, own strings.Builder
	for i := range 50_000 {
		fmt.Fprintf(&comments, "# HELP m%d x\n", i)
		fmt.Fprintf(&dropped, "d{i=\"%d\"} 1\n", i)
		fmt.Fprintf(&own, "m{a=\"1\"%s} 1\n", strings.Repeat(" ", i%1000)+strings.Repeat(",", i/50_000))
	}
	for name, page := range map[string]string{
		"series": seriesPage("m", 0, 101), "comments": comments.String(), "series that are dropped": dropped.String(),
		"a long label": "m{a=\"" + strings.Repeat("x", 200_000) + "\"} 1\n", "texts of one series": own.String() + own.String() + own.String(),
		"series with timestamps": strings.ReplaceAll(seriesPage("m", 0, 101), "} 1\n", "} 1 5\n"),
	} {
		b := &budget{}
		b.limit.Store(100 * seriesBytes)
		cfg := testPage(1000)
		cfg.Labels = NewLabeler(LabelConfig{Drop: globs(t, "d")})
		l := newLayout(cfg, nil)
		l.budget = b
		_, _, err := read(l, page, 0, len(page))
		if name == "texts of one series" && err == nil {
			continue // 1,000 texts fit
		}
		if !limitIs(memoryLimitName)(err) {
			t.Errorf("%s: %v", name, err)
		}
		if b.used.Load() != 0 {
			t.Errorf("%s: %d bytes stay charged", name, b.used.Load())
		}
	}
}

func TestAPageThatIsReadAsAWholeIsCharged(t *testing.T) {
	b := &budget{}
	b.limit.Store(100 * seriesBytes)
	l := newLayout(testPage(1000), nil)
	l.budget = b
	w := l.begin(0)
	err := readWhole(strings.NewReader(strings.Repeat("# \n", 100<<10)), w, promtext.OpenMetrics)
	if !limitIs(memoryLimitName)(err) {
		t.Error(err)
	}
	if w.abandon(); b.used.Load() != 0 {
		t.Errorf("%d bytes stay charged", b.used.Load())
	}
}

func TestManyNewCommentsTakeNoTime(t *testing.T) {
	page := func(from int) string {
		var text strings.Builder
		for i := range 100_000 {
			fmt.Fprintf(&text, "# HELP m%d x\n# HELP same %d\n", from+i, from+i)
		}
		return text.String()
	}
	l := newLayout(testPage(1000), nil)
	start := time.Now()
	for round := range 3 {
		if _, _, err := read(l, page(round*100_000), int64(round), 1<<30); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("three pages took %v", took)
	}
}
