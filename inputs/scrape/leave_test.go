package scrape

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestATargetThatEndsAtOnceDoes(t *testing.T) {
	inBubble(t, func(t *testing.T, m *Manager, out *collector, start time.Time, _ func()) {
		s := &script{pages: []string{"a 1\n"}}
		target := s.target("t")
		target.EndsAtOnce = true
		m.Update([]Target{target})
		after(15 * time.Second)
		out.take()
		m.Update(nil)
		after(time.Millisecond)
		if diff := cmp.Diff([]string{"15s: a stale, up stale"}, timeline(t, start, out.take())); diff != "" {
			t.Error(diff)
		}
		m.Update([]Target{target}) // another that has its name
		after(time.Second)
		if diff := cmp.Diff([]string{"15s: a 1, up 1"}, timeline(t, start, out.take())); diff != "" {
			t.Error(diff)
		}
	})
}

func TestATargetThatEndsRightAfterAScrapeEndsBehindIt(t *testing.T) {
	inBubble(t, func(t *testing.T, m *Manager, out *collector, start time.Time, _ func()) {
		s := &script{pages: []string{"a 1\n"}}
		target := s.target("t")
		target.EndsAtOnce = true
		m.Update([]Target{target})
		target.shift = m.shift
		after(target.offset() % firstWithin)
		m.Update(nil)
		after(time.Hour)
		pushes := out.take()
		if diff := cmp.Diff([]string{"0s: a 1, up 1", "0s: a stale, up stale"}, timeline(t, start, pushes)); diff != "" {
			t.Fatal(diff)
		}
		if scraped, ended := pushes[0][0].TimestampMs, pushes[1][0].TimestampMs; ended != scraped+1 {
			t.Errorf("scraped at %d ms, ended at %d ms", scraped, ended)
		}
	})
}

func TestATargetThatEndsDuringAScrapeEndsAfterIt(t *testing.T) {
	inBubble(t, func(t *testing.T, m *Manager, out *collector, start time.Time, _ func()) {
		s := &script{pages: []string{"a 1\n"}, slow: 4 * time.Second}
		target := s.target("t")
		target.EndsAtOnce = true
		m.Update([]Target{target})
		after(12 * time.Second) // the second scrape is on its way
		m.Update(nil)
		after(time.Hour)
		if diff := cmp.Diff([]string{"0s: a 1, up 1", "10s: a 1, up 1", "14s: a stale, up stale"}, timeline(t, start, out.take())); diff != "" {
			t.Error(diff)
		}
	})
}
