package writer

import (
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"kinglet"
	"kinglet/writer/queue"
	"kinglet/writer/remotewrite"
)

// restarts is a kinglet that is started again and again on one queue directory,
// with targets that are scraped every 15 s.
type restarts struct {
	t    *testing.T
	cfg  Config
	live *receiver
	rig  *rig
	zero time.Time
}

const scrapeEvery = 15 * time.Second

func newRestarts(t *testing.T, edit ...func(*remotewrite.Config)) *restarts {
	s := &restarts{t: t, cfg: onDisk(t), live: &receiver{}, zero: time.Now()}
	s.start(edit...)
	return s
}

func (s *restarts) start(edit ...func(*remotewrite.Config)) {
	s.t.Helper()
	s.rig = newRig(s.t, s.cfg, map[string]*receiver{"live": s.live, "moved": s.live}, endpointTo("live", append(edit, func(c *remotewrite.Config) { c.Name = "n9e" })...))
}

// restart ends kinglet and starts it again a second later.
func (s *restarts) restart(edit ...func(*remotewrite.Config)) {
	s.t.Helper()
	s.rig.stop()
	pass(time.Second)
	s.start(edit...)
}

// scraped makes rows of a target, one for each part: names of series, "-" before
// one that ends, "@" before one with a time of its own.
func (s *restarts) scraped(target uint64, parts ...string) []*kinglet.Row {
	var rows []*kinglet.Row
	for _, part := range parts {
		row := &kinglet.Row{TimestampMs: time.Now().UnixMilli(), Target: target}
		var series []kinglet.Series
		for _, name := range strings.Fields(part) {
			value, at := 1.0, kinglet.NoTime
			switch name[0] {
			case '-':
				value = kinglet.Stale()
			case '@':
				at = row.TimestampMs - 1
			}
			labels := []kinglet.Label{{Name: "__name__", Value: strings.Trim(name, "-@")}}
			series = append(series, kinglet.Series{Labels: labels})
			row.Values, row.TimesMs = append(row.Values, value), append(row.TimesMs, at)
		}
		row.Shape = kinglet.NewShape(series)
		rows = append(rows, row)
	}
	return rows
}

func (s *restarts) push(target uint64, parts ...string) {
	s.t.Helper()
	s.rig.push(s.t, s.scraped(target, parts...)...)
}

// ends are the stale markers that were received since it was called last, as
// name@seconds since the test began, sorted.
func (s *restarts) ends() []string {
	s.live.mu.Lock()
	defer s.live.mu.Unlock()
	ends := []string{}
	for _, line := range s.live.lines {
		if labels, at, ok := strings.Cut(line, " NaN @"); ok {
			var ms int64
			if _, err := fmt.Sscan(at, &ms); err != nil {
				s.t.Error(err)
			}
			seconds := float64(ms-s.zero.UnixMilli()) / 1000
			ends = append(ends, fmt.Sprintf("%s@%v", strings.NewReplacer("[{__name__ ", "", "}", "", "]", "", "{", "").Replace(labels), seconds))
		}
	}
	s.live.lines = nil
	slices.Sort(ends)
	return ends
}

func (s *restarts) wantEnds(want ...string) {
	s.t.Helper()
	pass(2 * time.Second) // linger
	if diff := cmp.Diff(append([]string{}, want...), s.ends()); diff != "" {
		s.t.Errorf("stale markers (-want +got):\n%s", diff)
	}
}

// over is that nothing is kept, nor waited for, when all is known.
func (s *restarts) over() {
	s.t.Helper()
	synctest.Wait()
	if s.rig.revivals.open != 0 || s.rig.revivals.due() != nil {
		s.t.Errorf("%d logs are not done with", s.rig.revivals.open)
	}
}

func TestWhatVanishedOverARestartEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newRestarts(t)
		for range 3 {
			s.push(1, "a b", "c", "up1")
			s.push(2, "x y", "up2")
			pass(scrapeEvery)
		}
		s.ends()
		s.restart() // at 46 s
		pass(time.Second)
		s.push(1, "a d", "up1")
		s.wantEnds("b@47", "c@47")
		s.push(1, "a", "-d", "up1") // the target's own business
		s.wantEnds("d@49")
		pass(12 * time.Second) // 63 s: an interval and a tenth after the start
		s.wantEnds("up2@46", "x@46", "y@46")
		s.over()
		pass(time.Hour)
		s.wantEnds()
		if found, ended := testutil.ToFloat64(s.rig.metrics.recovered.WithLabelValues("n9e")), testutil.ToFloat64(s.rig.metrics.recoveredEnds.WithLabelValues("n9e")); found != 7 || ended != 5 {
			t.Errorf("%v series were found alive and %v ended, want 7 and 5", found, ended)
		}
	})
}

func TestWhatGoesOnOverARestartDoesNotEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newRestarts(t)
		s.push(1, "a b", "up1")
		s.restart()
		s.push(1, "up1", "b a") // other parts, another order
		s.over()
		pass(time.Hour)
		s.wantEnds()
	})
}

// Each case is a last scrape before the restart, at 0 s, and a first one after it,
// which is at 1 s, or none.
func TestFirstScrapesAfterARestart(t *testing.T) {
	for _, tt := range []struct {
		name          string
		before, after []string
		want          []string
	}{
		{"one that fails ends all", []string{"a b", "up"}, []string{"up"}, []string{"a@1", "b@1"}},
		{"series with times of their own get no marker", []string{"a @timed", "up"}, []string{"up"}, []string{"a@1"}},
		{"what had ended does not end again", []string{"a", "-b -c", "up"}, []string{"up a"}, nil},
		{"what it ends itself ends once", []string{"a b", "up"}, []string{"-a", "up"}, []string{"a@1", "b@1"}},
		{"a series that takes up times of its own goes on", []string{"a"}, []string{"@a"}, nil},
		{"none: a minute is waited for it", []string{"a"}, nil, []string{"a@1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newRestarts(t)
				s.push(1, tt.before...)
				pass(2 * time.Second)
				s.ends()
				s.zero = s.zero.Add(2 * time.Second)
				s.restart()
				if tt.after != nil {
					s.push(1, tt.after...)
				} else {
					s.wantEnds()
					pass(65 * time.Second)
				}
				s.wantEnds(tt.want...)
				s.over()
			})
		})
	}
}

func TestARowThatWasCutOffEndsNothingByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newRestarts(t)
		s.push(1, "a b", "c d", "up")
		pass(scrapeEvery)
		s.push(1, "a b") // killed between two blocks
		s.restart()
		s.push(1, "a", "c", "up")
		s.wantEnds("b@16", "d@16")
	})
}

func TestSeriesThatAnotherTargetHasNowGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newRestarts(t)
		for range 2 {
			s.push(1, "a b")
			pass(scrapeEvery)
		}
		s.restart()
		s.push(2, "a")
		pass(20 * time.Second)
		s.wantEnds("b@31")
		s.over()
	})
}

func TestMarkersAreBehindWhatTheyEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newRestarts(t)
		rows := s.scraped(1, "a b", "up")
		s.rig.push(t, rows...)
		s.restart()
		again := s.scraped(1, "a", "up") // timestamps are cut to minutes
		for _, r := range again {
			r.TimestampMs = s.zero.UnixMilli()
		}
		s.rig.push(t, again...)
		s.wantEnds("b@0.001")
	})
}

func TestWhatIsOldWhenKingletStartsIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newRestarts(t)
		s.push(1, "a")
		pass(4 * time.Minute)
		s.push(2, "b")
		s.rig.stop()
		pass(7 * time.Minute)
		s.start()
		pass(time.Hour)
		s.wantEnds("b@660")
		s.over()
	})
}

func TestWritersWithoutStaleMarkersGetNoneAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		without := func(c *remotewrite.Config) { c.StaleMarkers = false }
		s := newRestarts(t, without)
		s.push(1, "a b")
		s.restart(without)
		s.over()
		s.push(1, "a")
		pass(time.Hour)
		s.wantEnds()
	})
}

func TestOtherLabelsEndTheFormerSeries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		external := func(value string) func(c *remotewrite.Config) {
			return func(c *remotewrite.Config) { c.ExternalLabels = map[string]string{"site": value} }
		}
		s := newRestarts(t, external("x"))
		s.push(1, "a")
		s.restart(external("y"))
		s.push(1, "a")
		s.wantEnds("a site x@1")
	})
}

func TestARestartBeforeAllIsKnownEndsItThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newRestarts(t)
		for range 2 {
			s.push(1, "a b")
			s.push(2, "x")
			pass(scrapeEvery)
		}
		s.restart() // at 31 s
		s.push(1, "a")
		pass(2 * time.Second)
		s.restart() // at 34 s
		s.push(1, "a")
		s.wantEnds("b@31")
		pass(20 * time.Second)
		s.wantEnds("x@34")
		s.restart()
		s.push(1, "a")
		pass(time.Hour)
		s.wantEnds()
	})
}

func TestAReloadRightAfterARestartForgetsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newRestarts(t)
		for range 2 {
			s.push(1, "a b")
			s.push(2, "x")
			pass(scrapeEvery)
		}
		s.restart() // at 31 s
		s.push(1, "a b")
		pass(time.Second)
		if err := s.rig.Update([]remotewrite.Config{named("n9e", "moved")}); err != nil {
			t.Fatal(err)
		}
		pass(20 * time.Second)
		s.wantEnds("x@31")
		s.over()
	})
}

func TestHistogramsEndAsWhatTheyAre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := onDisk(t)
		endpoint := endpointTo("live", func(c *remotewrite.Config) { c.Name, c.NativeHistograms = "n9e", true })
		row := &kinglet.Row{Shape: histogramShape(), Target: 1, Values: []float64{kinglet.Absent(), kinglet.Absent(), 0, 0, 1}}
		row.TimestampMs = time.Now().UnixMilli()
		row.Histograms = []*kinglet.Histogram{nil, nil, {Float: true, CountFloat: 2}, {Count: 3}, nil}
		r := newRig(t, cfg, map[string]*receiver{"live": {}}, endpoint)
		r.push(t, row)
		r.stop()
		pass(time.Second)
		again := newRig(t, cfg, map[string]*receiver{"live": {status: func(int) int { return 503 }}}, endpoint)
		up := &kinglet.Row{Shape: histogramShape(), Target: 1, TimestampMs: time.Now().UnixMilli(), Values: slices.Repeat([]float64{kinglet.Absent()}, 5)}
		up.Values[4] = 0
		again.push(t, up)
		pass(2 * time.Second)
		again.stop()
		var got []string
		reopened := newRig(t, cfg, map[string]*receiver{"live": {}}, endpoint)
		defer reopened.stop()
		for b := range logOf(t, reopened).Recovered() {
			if b.RowMs == up.TimestampMs && b.Samples == 2 {
				got = append(got, markersOf(t, b)...)
			}
		}
		if diff := cmp.Diff([]string{"float float", "integer integer"}, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestNothingIsDoneWithoutALog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, DefaultConfig(), map[string]*receiver{"a": {}}, endpointTo("a"))
		r.push(t, rowOf(3, 1))
		synctest.Wait()
		if len(r.revivals.looked) != 0 || r.revivals.timer != nil {
			t.Errorf("%+v", r.revivals)
		}
	})
}

func logOf(t *testing.T, r *rig) *queue.Log {
	t.Helper()
	l, ok := r.current()[0].queue.(*queue.Log)
	if !ok {
		t.Fatal("the queue is not a log")
	}
	return l
}

func TestATargetThatComesLateGoesOnBehindItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newRestarts(t)
		for range 2 {
			s.push(1, "a")
			pass(scrapeEvery)
		}
		s.restart() // at 31 s
		row := s.scraped(1, "a b")
		pass(20 * time.Second) // its first scrape takes that long
		s.wantEnds("a@31")
		row[0].TimestampMs++ // a scrape begins after the start
		s.rig.push(t, row...)
		s.over()
		s.wantEnds()
	})
}

func TestEachWriterEndsWhatItWasSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := onDisk(t)
		endpoints := []remotewrite.Config{named("full", "full"), named("plain", "plain")}
		endpoints[1].StaleMarkers = false
		s := &restarts{t: t, cfg: cfg, live: &receiver{}, zero: time.Now()}
		start := func(endpoints ...remotewrite.Config) (plain *receiver) {
			plain = &receiver{}
			s.rig = newRig(t, cfg, map[string]*receiver{"full": s.live, "late": s.live, "plain": plain}, endpoints...)
			return plain
		}
		start(endpoints...)
		s.push(1, "a b")
		s.rig.stop()
		pass(time.Second)
		plain := start(append(endpoints, named("late", "late"))...) // a new one was sent nothing
		s.push(1, "a")
		s.wantEnds("b@1")
		if got := plain.got(); len(got) != 1 {
			t.Errorf("the writer without stale markers got %v", got)
		}
	})
}

func TestMarkersHaveTheNamesThatTheProtocolSends(t *testing.T) {
	labels := []kinglet.Label{{Name: "__name__", Value: "größe"}}
	part := formerPart{shape: kinglet.NewShape([]kinglet.Series{{Labels: labels}})}
	for anyName, want := range map[bool]string{true: "größe", false: "gr__e"} {
		row := part.ends(remotewrite.Naming{AnyName: anyName}, &revival{seed: maphash.MakeSeed()})
		if got := row.Shape.AppendLabels(nil, 0)[0].Value; got != want || !kinglet.IsStale(row.Values[0]) {
			t.Errorf("any name %v: %v of %q, want a marker of %q", anyName, row.Values, got, want)
		}
	}
}
