package writer

import (
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"kinglet/writer/queue"
	"kinglet/writer/remotewrite"
)

func onDisk(t *testing.T) Config {
	cfg := DefaultConfig()
	cfg.QueueDir = t.TempDir()
	return cfg
}

func named(name, host string) remotewrite.Config {
	return endpointTo(host, func(c *remotewrite.Config) { c.Name = name })
}

func TestWhatWaitsSurvivesAStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg, down, live := onDisk(t), &receiver{status: func(int) int { return 503 }}, &receiver{}
		r := newRig(t, cfg, map[string]*receiver{"down": down}, named("n9e", "down"))
		r.push(t, rowOf(1234, 1))
		pass(10 * time.Second)
		start := time.Now()
		r.stop()
		if took := time.Since(start); took != hurryAfter {
			t.Errorf("stopping took %v: an endpoint that is down is not waited for", took)
		}
		if lost := testutil.ToFloat64(r.metrics.dropped.WithLabelValues("n9e", reasonShutdown)); lost != 0 {
			t.Errorf("%v samples counted as lost", lost)
		}
		again := newRig(t, cfg, map[string]*receiver{"b": {}, "live": live}, named("another", "b"), named("n9e", "live"))
		pass(time.Minute)
		again.push(t, rowOf(3, 2))
		pass(10 * time.Second)
		want := slices.Concat(linesOf(1234, 1), linesOf(3, 2))
		if diff := cmp.Diff(want, live.got()); diff != "" {
			t.Errorf("another address and another place lost the queue:\n%s", diff)
		}
	})
}

func TestASecondProcessIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := onDisk(t)
		newRig(t, cfg, map[string]*receiver{"a": {}}, named("n9e", "a"))
		_, err := New(cfg, []remotewrite.Config{named("n9e", "a")}, slog.New(slog.DiscardHandler), nil)
		if err == nil || !strings.Contains(err.Error(), "give each kinglet its own queue_dir") {
			t.Errorf("got %v", err)
		}
	})
}

func TestAWriterThatComesBackFindsItsQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg, dead, live := onDisk(t), &receiver{hang: true}, &receiver{}
		r := newRig(t, cfg, map[string]*receiver{"dead": dead, "live": live, "b": {}}, named("n9e", "dead"), named("b", "b"))
		r.push(t, rowOf(3, 1))
		pass(2 * time.Second)
		for _, endpoints := range [][]remotewrite.Config{{named("b", "b")}, {named("b", "b"), named("n9e", "live")}} {
			if err := r.Update(endpoints); err != nil {
				t.Fatal(err)
			}
			pass(time.Second)
		}
		pass(10 * time.Second)
		if diff := cmp.Diff(linesOf(3, 1), live.got()); diff != "" {
			t.Error(diff)
		}
		if d := r.Endpoints()[1].Disk; d == nil || d.Err != nil || d.Segments != 0 && d.Bytes == 0 {
			t.Errorf("its disk: %+v", d)
		}
	})
}

func TestQueuesOfNoWriterAreKeptUntilTheyAreOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg, down := onDisk(t), &receiver{status: func(int) int { return 503 }}
		r := newRig(t, cfg, map[string]*receiver{"down": down}, named("a/b", "down"))
		row := rowOf(7, 1)
		row.TimestampMs = time.Now().UnixMilli()
		r.push(t, row)
		pass(2 * time.Second)
		r.stop()
		look := func() []queue.Leftover { return queue.Leftovers(cfg.QueueDir, nil, cfg.QueueMaxAge.Duration) }
		if left := look(); len(left) != 1 || left[0].Name != "a/b" || left[0].Samples != 7 || left[0].Err != nil || left[0].Removed {
			t.Errorf("got %+v", left)
		}
		pass(25 * time.Hour)
		if left := look(); len(left) != 1 || !left[0].Removed {
			t.Errorf("got %+v", left)
		}
		if left := look(); len(left) != 0 {
			t.Errorf("got %+v", left)
		}
	})
}
