package scrape

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"kinglet"
)

// script is a target whose pages are given: the nth scrape gets the nth page,
// those beyond the last. "!" is a failure.
type script struct {
	mu    sync.Mutex
	pages []string
	times []time.Time
	slow  time.Duration // each scrape takes so long
}

func (s *script) gather() ([]byte, error) {
	s.mu.Lock()
	page := s.pages[min(len(s.times), len(s.pages)-1)]
	s.times = append(s.times, time.Now())
	slow := s.slow
	s.mu.Unlock()
	if slow > 0 {
		<-time.After(slow)
	}
	switch page {
	case "!":
		return nil, errors.New("scripted")
	case "panic":
		panic("scripted")
	}
	return []byte(page), nil
}

// starts are the times of the scrapes so far.
func (s *script) starts() []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.times)
}

func (s *script) target(key string) Target {
	return Target{
		Key: key, Settings: "1", URL: "http://" + key + "/metrics", Gather: s.gather,
		Page: testPage(1000), Interval: 10 * time.Second, Timeout: 10 * time.Second,
	}
}

// timeline writes pushes as one line each, with the seconds since start.
func timeline(t *testing.T, start time.Time, pushes [][]*kinglet.Row) []string {
	t.Helper()
	var lines []string
	for _, rows := range pushes {
		var samples []string
		at := ""
		for _, line := range rowLines(t, rows) {
			series, stamp, _ := strings.Cut(line, " @")
			name := strings.NewReplacer(`{__name__="`, "", `",instance="i"}`, "").Replace(series)
			var ms int64
			fmt.Sscan(stamp, &ms)
			at = time.UnixMilli(ms).Sub(start).Round(time.Second).String()
			samples = append(samples, name)
		}
		lines = append(lines, at+": "+strings.Join(samples, ", "))
	}
	return lines
}

// inBubble runs a manager on a fake clock. The clock starts at a tick of the
// target "t", so that its scrapes are at 0 s (the first), 10 s, 20 s, ...
func inBubble(t *testing.T, test func(t *testing.T, m *Manager, out *collector, start time.Time, stop func())) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		<-time.After(time.Until(nextTick(time.Now(), &Target{Key: "t", Interval: 10 * time.Second})))
		m, out := newManager(t), &collector{}
		m.shift = 0 // of no host in particular
		ctx, cancel := context.WithCancel(t.Context())
		var run sync.WaitGroup
		run.Go(func() { m.Run(ctx, out) })
		stop := func() { cancel(); run.Wait() }
		test(t, m, out, time.Now(), stop)
		stop()
	})
}

func after(d time.Duration) { <-time.After(d) }

func TestALoopKeepsItsPhase(t *testing.T) {
	inBubble(t, func(t *testing.T, m *Manager, out *collector, start time.Time, _ func()) {
		s := &script{pages: []string{"m 1\n"}}
		m.Update([]Target{s.target("t")})
		after(45 * time.Second)
		times := s.starts()
		if first := times[0].Sub(start); first > firstWithin {
			t.Errorf("the first scrape came after %v", first)
		}
		for i, at := range times[1:] {
			if want := start.Add(time.Duration(i+1) * 10 * time.Second); !at.Equal(want) {
				t.Errorf("scrape %d at %v, want %v", i+1, at.Sub(start), want.Sub(start))
			}
		}
		if len(times) != 5 {
			t.Errorf("%d scrapes", len(times))
		}
	})
}

func TestTargetsOfAHostShareItsSlots(t *testing.T) {
	for _, shift := range []uint64{0, 1, 12345678901234567890} {
		times := map[time.Duration]bool{}
		for i := range 1000 {
			target := Target{Key: fmt.Sprint(i), Interval: 15 * time.Second, shift: shift}
			times[target.offset()] = true
		}
		if len(times) != slots {
			t.Errorf("shift %d: a thousand targets are scraped at %d times of the interval, want %d", shift, len(times), slots)
		}
	}
}

func TestTargetsAreSpreadOverTheInterval(t *testing.T) {
	var quarters [4]int
	for i := range 400 {
		target := Target{Key: fmt.Sprintf("http://10.0.0.%d:8080/metrics", i), Interval: 15 * time.Second}
		quarters[target.offset()*4/target.Interval]++
	}
	for _, n := range quarters {
		if n < 60 {
			t.Errorf("targets by quarter of the interval: %v", quarters)
		}
	}
}

func TestASlowScrapeSkipsTicks(t *testing.T) {
	inBubble(t, func(t *testing.T, m *Manager, _ *collector, start time.Time, _ func()) {
		s := &script{pages: []string{"m 1\n"}, slow: 14 * time.Second}
		m.Update([]Target{s.target("t")})
		after(75 * time.Second)
		for i, at := range s.starts()[1:] {
			if want := start.Add(time.Duration(i+1) * 20 * time.Second); !at.Equal(want) {
				t.Errorf("scrape %d at %v, want %v", i+1, at.Sub(start), want.Sub(start))
			}
		}
		if n := testutil.ToFloat64(m.metrics.missed.WithLabelValues("test")); n != 3 {
			t.Errorf("%v scrapes counted as missed", n)
		}
	})
}

func TestSeriesEndOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, m *Manager, out *collector, start time.Time, stop func()) {
		s := &script{pages: []string{"a 1\nb 1\n", "a 2\n", "!", "!", "a 5\nc 5\n", "panic", "a 7\n", "bad{", "a 9\nd 9 1000\n", "a 10\n"}}
		m.Update([]Target{s.target("t")})
		after(95 * time.Second)
		stop()
		after(time.Hour)
		want := []string{
			"0s: a 1, b 1, up 1",
			"10s: a 2, b stale, up 1",
			"20s: a stale, up 0",
			"30s: up 0",
			"40s: a 5, c 5, up 1",
			"50s: a stale, c stale, up 0",
			"1m0s: a 7, up 1",
			"1m10s: a stale, up 0",
			"1m20s: a 9, up 1",
			"1m30s: a 10, up 1",
		}
		got := timeline(t, start, out.take())
		for i := range got {
			got[i] = strings.Replace(got[i], ", d 9", "", 1) // has a time of its own
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestARemovedTargetEndsALittleLater(t *testing.T) {
	inBubble(t, func(t *testing.T, m *Manager, out *collector, start time.Time, _ func()) {
		s := &script{pages: []string{"a 1\n"}}
		m.Update([]Target{s.target("t")})
		after(15 * time.Second)
		out.take()
		m.Update(nil)
		after(20 * time.Second)
		if got := out.take(); len(got) > 0 {
			t.Errorf("pushed %v while leaving", timeline(t, start, got))
		}
		if n := len(m.Targets()); n != 0 {
			t.Errorf("%d targets are shown", n)
		}
		after(2 * time.Second)
		if diff := cmp.Diff([]string{"20s: a stale, up stale"}, timeline(t, start, out.take())); diff != "" {
			t.Error(diff)
		}
		m.Update([]Target{s.target("t")})
		after(time.Second)
		if diff := cmp.Diff([]string{"37s: a 1, up 1"}, timeline(t, start, out.take())); diff != "" {
			t.Error(diff)
		}
	})
}

func TestATargetThatComesBackIsNotEnded(t *testing.T) {
	inBubble(t, func(t *testing.T, m *Manager, out *collector, start time.Time, _ func()) {
		s := &script{pages: []string{"a 1\n"}}
		m.Update([]Target{s.target("t")})
		after(5 * time.Second)
		m.Update(nil)
		after(10 * time.Second)
		m.Update([]Target{s.target("t")})
		after(60 * time.Second)
		want := []string{"0s: a 1, up 1"}
		for i := 2; i <= 7; i++ {
			want = append(want, fmt.Sprintf("%v: a 1, up 1", time.Duration(i)*10*time.Second))
		}
		if diff := cmp.Diff(want, timeline(t, start, out.take())); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAReloadLeavesNoGap(t *testing.T) {
	inBubble(t, func(t *testing.T, m *Manager, out *collector, start time.Time, _ func()) {
		s := &script{pages: []string{"a 1\nb 1\n"}, slow: time.Second}
		m.Update([]Target{s.target("t")})
		after(5 * time.Second)
		out.take()
		m.Update([]Target{s.target("t")}) // the same
		after(5500 * time.Millisecond)    // 10.5 s: a scrape is in progress
		changed := s.target("t")
		changed.Settings = "2"
		changed.Page.Labels = NewLabeler(LabelConfig{Target: pairs("instance", "i"), Drop: globs(t, "b")})
		m.Update([]Target{changed})
		after(20 * time.Second)
		want := []string{"10s: a 1, b 1, up 1", "20s: a 1, b stale, up 1"}
		if diff := cmp.Diff(want, timeline(t, start, out.take())); diff != "" {
			t.Error(diff)
		}
	})
}

func TestChangedTargetLabelsEndTheOldSeries(t *testing.T) {
	inBubble(t, func(t *testing.T, m *Manager, out *collector, start time.Time, _ func()) {
		s := &script{pages: []string{"a 1\n"}}
		m.Update([]Target{s.target("t")})
		after(5 * time.Second)
		out.take()
		changed := s.target("t")
		changed.Settings = "2"
		changed.Page.Labels = NewLabeler(LabelConfig{Target: pairs("instance", "i"), MetricsNamePrefix: "x_"})
		m.Update([]Target{changed})
		after(10 * time.Second)
		want := []string{"10s: a stale, up stale, x_a 1, x_up 1"}
		if diff := cmp.Diff(want, timeline(t, start, out.take())); diff != "" {
			t.Error(diff)
		}
	})
}

func TestARowOfFailuresIsLoggedTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logged bytes.Buffer
		m, err := NewManager("test", slog.New(slog.NewTextHandler(&logged, nil)), prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		s := &script{pages: []string{"!", "!", "!", "!", "a 1\n"}}
		target := s.target("u:secret@t")
		m.Update([]Target{target})
		ctx, cancel := context.WithTimeout(t.Context(), 65*time.Second)
		defer cancel()
		m.Run(ctx, &collector{})
		if n := strings.Count(logged.String(), "\n"); n != 2 || strings.Contains(logged.String(), "secret") {
			t.Errorf("%d lines:\n%s", n, logged.String())
		}
		if n := testutil.ToFloat64(m.metrics.failures.WithLabelValues("test", "other")); n != 4 {
			t.Errorf("%v failures counted", n)
		}
		if n := testutil.ToFloat64(m.metrics.targets.WithLabelValues("test", "up")); n != 1 {
			t.Errorf("%v targets up", n)
		}
	})
}

func TestAHangingTargetDelaysNoOther(t *testing.T) {
	inBubble(t, func(t *testing.T, m *Manager, _ *collector, _ time.Time, _ func()) {
		slow, fast := &script{pages: []string{"a 1\n"}, slow: 9 * time.Second}, &script{pages: []string{"b 1\n"}}
		m.Update([]Target{slow.target("slow"), fast.target("t"), fast.target("t")})
		after(95 * time.Second)
		if n := len(fast.starts()); n != 10 {
			t.Errorf("%d scrapes of the fast one", n)
		}
	})
}

func TestSeriesAddedCountsThoseOfThisScrape(t *testing.T) {
	inBubble(t, func(t *testing.T, m *Manager, out *collector, start time.Time, _ func()) {
		s := &script{pages: []string{"a 1\nb 1\nb 2\n", "a 1\nb 1\n", "a 1\nb 1\nc 1\n", "bad{"}}
		target := s.target("t")
		target.ScrapeMeta = true
		m.Update([]Target{target})
		after(35 * time.Second)
		const (
			added   = "scrape_series_added "
			scraped = "scrape_samples_scraped "
			post    = "scrape_samples_post_metric_relabeling "
		)
		for i, line := range timeline(t, start, out.take()) {
			want := [][]string{{added + "2", scraped + "3", post + "3"}, {added + "0", scraped + "2", post + "2"},
				{added + "1", scraped + "3", post + "3"}, {added + "0", scraped + "0", post + "0"}}[i]
			for _, part := range want {
				if !strings.Contains(line, part) {
					t.Errorf("%s: want %s", line, part)
				}
			}
		}
	})
}

// panicky is a sink that fails on its first push in the worst way.
type panicky struct {
	collector
	pushed bool
}

func (p *panicky) Push(ctx context.Context, rows ...*kinglet.Row) error {
	if !p.pushed {
		p.pushed = true
		panic("scripted")
	}
	return p.collector.Push(ctx, rows...)
}

func TestAPanicInALoopCostsOneInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, out, s := newManager(t), &panicky{}, &script{pages: []string{"a 1\n"}}
		m.Update([]Target{s.target("t")})
		ctx, cancel := context.WithCancel(t.Context())
		var run sync.WaitGroup
		run.Go(func() { m.Run(ctx, out) })
		after(time.Second)
		if got := m.Targets()[0]; got.Up || got.Error != "kinglet failed on this target (scripted): please report it" {
			t.Errorf("after the panic: %+v", got)
		}
		after(30 * time.Second)
		if got := m.Targets()[0]; !got.Up || len(out.take()) < 2 {
			t.Errorf("30 s later: %+v", got)
		}
		cancel()
		run.Wait()
		if n := testutil.ToFloat64(m.metrics.failures.WithLabelValues("test", "panic")); n != 1 {
			t.Errorf("%v failures counted", n)
		}
	})
}

func TestAPanicWhileATargetIsTakenOverIsTheTargets(t *testing.T) {
	m, s := newManager(t), &script{pages: []string{"a 1\n"}}
	bad := s.target("bad")
	bad.Page.Labels = nil // nothing can be labelled
	m.Update([]Target{bad, s.target("t")})
	out := &collector{}
	if down, err := m.Once(t.Context(), out); down != 1 || err != nil {
		t.Errorf("%d down, %v", down, err)
	}
	if got := m.Targets(); got[0].Up || !got[1].Up || !strings.HasPrefix(got[0].Error, "kinglet failed on this target (") {
		t.Errorf("got %+v", got)
	}
}

// full is a sink that takes nothing.
type full struct{}

func (full) Push(context.Context, ...*kinglet.Row) error { return errors.New("no space left") }

func TestASinkThatFailsIsNoTargetThatIsDown(t *testing.T) {
	m, s := newManager(t), &script{pages: []string{"a 1\n"}}
	m.Update([]Target{s.target("t")})
	if down, err := m.Once(t.Context(), full{}); down != 0 || err == nil || err.Error() != "no space left" {
		t.Errorf("%d down, %v", down, err)
	}
}

func TestRowsTellTheirTarget(t *testing.T) {
	same := Target{Key: "http://10.0.0.1:8080/metrics"}
	if a, b := same.identity("prometheus"), same.identity("prometheus"); a != b || a != 0x5cf0de705e3307f7 {
		t.Errorf("got %#x, want the same number over a restart and over versions", a)
	}
	other := Target{Key: "http://10.0.0.2:8080/metrics"}
	if a, b := same.identity("prometheus"), other.identity("prometheus"); a == b {
		t.Error("two targets are told as one")
	}
	if a, b := same.identity("prometheus"), same.identity("pods"); a == b {
		t.Error("targets of two inputs are told as one")
	}
}
