package writer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"kinglet"
	"kinglet/conf/unit"
	"kinglet/writer/remotewrite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// receiver is an endpoint in memory.
type receiver struct {
	mu     sync.Mutex
	status func(attempt int) int // nil: 204
	hang   bool
	tries  int
	sizes  []int // samples of each accepted request
	at     []time.Time
	lines  []string
}

func (r *receiver) Forget() {}

func (r *receiver) Do(request *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	r.tries++
	status := http.StatusNoContent
	if r.status != nil {
		status = r.status(r.tries)
	}
	hang := r.hang
	r.mu.Unlock()
	if hang {
		<-request.Context().Done()
		return nil, request.Context().Err()
	}
	if status/100 == 2 {
		r.keep(body)
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: http.NoBody}, nil
}

func (r *receiver) keep(body []byte) {
	series, err := remotewrite.Decode(body)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.lines = append(r.lines, err.Error())
	}
	n := 0
	for _, s := range series {
		for _, x := range s.Samples {
			r.lines = append(r.lines, fmt.Sprintf("%v %v @%d", s.Labels, x.Value, x.TimestampMs))
			n++
		}
	}
	r.sizes = append(r.sizes, n)
	r.at = append(r.at, time.Now())
}

// got is a copy of what was accepted.
func (r *receiver) got() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.lines)
}

// rig is a pipeline to endpoints in memory, one for each host name.
type rig struct {
	*Pipeline
	reg  *prometheus.Registry
	stop func() // ends Run and waits for it
}

func endpointTo(host string, edit ...func(*remotewrite.Config)) remotewrite.Config {
	cfg := remotewrite.DefaultConfig()
	cfg.URL = "http://" + host + "/write"
	for _, e := range edit {
		e(&cfg)
	}
	return cfg
}

func newRig(t *testing.T, cfg Config, receivers map[string]*receiver, endpoints ...remotewrite.Config) *rig {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	p, err := newPipeline(cfg, log, func(c remotewrite.Config) (remotewrite.Doer, error) {
		host := strings.TrimSuffix(strings.TrimPrefix(c.URL, "http://"), "/write")
		if r := receivers[host]; r != nil {
			return r, nil
		}
		return nil, fmt.Errorf("no receiver %q", host)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Update(endpoints); err != nil {
		t.Fatal(err)
	}
	reg := prometheus.NewRegistry()
	if err := p.metrics.register(reg, p); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := p.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	r := &rig{Pipeline: p, reg: reg, stop: sync.OnceFunc(func() { cancel(); running.Wait() })}
	t.Cleanup(r.stop)
	return r
}

// rowOf makes a row of n series, told apart by seed and i.
func rowOf(n, seed int) *kinglet.Row {
	series := make([]kinglet.Series, n)
	values := make([]float64, n)
	for i := range n {
		series[i].Labels = []kinglet.Label{{Name: "__name__", Value: "m"}, {Name: "i", Value: fmt.Sprint(i)}, {Name: "seed", Value: fmt.Sprint(seed)}}
		values[i] = float64(i)
	}
	return &kinglet.Row{Shape: kinglet.NewShape(series), TimestampMs: 1_790_000_000_000, Values: values}
}

// linesOf is what a receiver keeps of rowOf.
func linesOf(n, seed int) []string {
	r := &receiver{}
	e := remotewrite.Encoder{MaxSamples: n}
	r.keep(remotewrite.AppendBody(nil, e.Encode(rowOf(n, seed))))
	return r.lines
}

func (r *rig) push(t *testing.T, rows ...*kinglet.Row) {
	t.Helper()
	if err := r.Push(t.Context(), rows...); err != nil {
		t.Fatal(err)
	}
}

func TestAPageLargerThanBufferAndBatchArrivesWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		live := &receiver{}
		cfg := DefaultConfig()
		cfg.Batch, cfg.ChanSize = 100, 50
		r := newRig(t, cfg, map[string]*receiver{"a": live}, endpointTo("a"))
		r.push(t, rowOf(1000, 1), rowOf(5, 2))
		r.push(t, rowOf(3, 3))
		pass(2 * time.Second)
		want := slices.Concat(linesOf(1000, 1), linesOf(5, 2), linesOf(3, 3))
		if diff := cmp.Diff(want, live.got()); diff != "" {
			t.Error(diff)
		}
		if want := append(slices.Repeat([]int{100}, 10), 8); !slices.Equal(live.sizes, want) {
			t.Errorf("requests of %v samples, want %v", live.sizes, want)
		}
	})
}

func TestARequestLeavesAfterLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		live := &receiver{}
		r := newRig(t, DefaultConfig(), map[string]*receiver{"a": live}, endpointTo("a"))
		start := time.Now()
		r.push(t, rowOf(3, 1))
		pass(400 * time.Millisecond)
		r.push(t, rowOf(3, 2))
		pass(5 * time.Second)
		synctest.Wait()
		if !slices.Equal(live.sizes, []int{6}) || live.at[0].Sub(start) != time.Second {
			t.Errorf("requests of %v samples, the first after %v; want one of 6 after 1s", live.sizes, live.at[0].Sub(start))
		}
	})
}

func TestADeadEndpointDoesNotTouchALiveOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		live, hanging := &receiver{}, &receiver{hang: true}
		failing := &receiver{status: func(int) int { return 503 }}
		cfg := DefaultConfig()
		cfg.QueueMaxMemory = unit.MiB
		r := newRig(t, cfg, map[string]*receiver{"live": live, "hanging": hanging, "failing": failing},
			endpointTo("hanging"), endpointTo("live"), endpointTo("failing"))
		var want []string
		for i := range 70 {
			start := time.Now()
			r.push(t, rowOf(1500, i))
			if took := time.Since(start); took != 0 {
				t.Fatalf("push %d waited %v", i, took)
			}
			want = append(want, linesOf(1500, i)...)
			pass(time.Second)
		}
		pass(time.Second)
		if !slices.Equal(want, live.got()) {
			t.Errorf("the live endpoint has %d samples, want %d in order", len(live.got()), len(want))
		}
		for _, s := range r.Endpoints() {
			if s.Queue.Bytes > int(cfg.QueueMaxMemory) {
				t.Errorf("queue of %s holds %d bytes", s.Name, s.Queue.Bytes)
			}
			if (s.Name == "2") == s.LastSuccess.IsZero() || (s.Name == "2") == s.Failing {
				t.Errorf("status of %s: %+v", s.Name, s)
			}
		}
		lost := testutil.ToFloat64(r.metrics.dropped.WithLabelValues("1", "queue_full"))
		if kept := r.Endpoints()[0].Queue.Samples; lost == 0 || int(lost)+kept != 70*1500 {
			t.Errorf("%v samples lost and %d kept, want them to add up", lost, kept)
		}
	})
}

func TestStopSendsWhatIsBuffered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		live := &receiver{status: func(attempt int) int { return []int{500, 204}[min(attempt-1, 1)] }}
		r := newRig(t, DefaultConfig(), map[string]*receiver{"a": live}, endpointTo("a"))
		r.push(t, rowOf(3, 1))
		start := time.Now()
		r.stop()
		if diff := cmp.Diff(linesOf(3, 1), live.got()); diff != "" {
			t.Error(diff)
		}
		if took := time.Since(start); took > 40*time.Millisecond {
			t.Errorf("stopping took %v: linger must not hold it up", took)
		}
		if err := r.Push(t.Context(), rowOf(1, 1)); !errors.Is(err, ErrStopped) {
			t.Errorf("Push after the end: %v", err)
		}
	})
}

func TestStopEndsWithTheDeadlineAndCountsWhatIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dead := &receiver{hang: true}
		r := newRig(t, DefaultConfig(), map[string]*receiver{"a": dead}, endpointTo("a"))
		r.push(t, rowOf(1234, 1))
		pass(time.Second)
		start := time.Now()
		r.stop()
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("stopping took %v, want drain_timeout", took)
		}
		if lost := testutil.ToFloat64(r.metrics.dropped.WithLabelValues("1", reasonShutdown)); lost != 1234 {
			t.Errorf("%v samples counted as lost, want 1234", lost)
		}
	})
}

func TestPushWaitsForRoomAndHeedsItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := DefaultConfig()
		cfg.ChanSize = 10
		p, err := newPipeline(cfg, slog.New(slog.DiscardHandler), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Push(t.Context(), rowOf(50, 1)); err != nil { // the buffer is empty
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := p.Push(ctx, rowOf(1, 2)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the context's error", err)
		}
		if n := p.buffered.Load(); n != 50 {
			t.Errorf("%d samples are buffered, want 50", n)
		}
	})
}

func TestNoWritersIsLegal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := DefaultConfig()
		cfg.ChanSize = 10
		r := newRig(t, cfg, nil)
		for i := range 5 {
			r.push(t, rowOf(8, i))
		}
		r.stop()
		if lost := testutil.ToFloat64(r.metrics.dropped.WithLabelValues("none", reasonNoWriter)); lost != 40 {
			t.Errorf("%v samples counted, want 40", lost)
		}
	})
}

func TestStaleMarkersCanBeLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		with, without := &receiver{}, &receiver{}
		r := newRig(t, DefaultConfig(), map[string]*receiver{"with": with, "without": without},
			endpointTo("with"), endpointTo("without", func(c *remotewrite.Config) { c.StaleMarkers = false }))
		r.push(t, rowOf(3, 1))
		row := rowOf(3, 2)
		row.Values[1] = kinglet.Stale()
		r.push(t, row)
		r.stop()
		if n := len(with.got()); n != 6 {
			t.Errorf("%d samples with markers, want 6", n)
		}
		if n := len(without.got()); n != 5 {
			t.Errorf("%d samples without markers, want 5", n)
		}
	})
}

func TestCollidingNamesAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		live := &receiver{}
		r := newRig(t, DefaultConfig(), map[string]*receiver{"a": live}, endpointTo("a"))
		shape := kinglet.NewShape([]kinglet.Series{
			{Labels: []kinglet.Label{{Name: "__name__", Value: "a.b"}}}, {Labels: []kinglet.Label{{Name: "__name__", Value: "a_b"}}},
		})
		for range 2 {
			r.push(t, &kinglet.Row{Shape: shape, TimestampMs: 1, Values: []float64{1, 2}})
		}
		r.stop()
		if diff := cmp.Diff([]string{"[{__name__ a_b}] 2 @1", "[{__name__ a_b}] 2 @1"}, live.got()); diff != "" {
			t.Error(diff)
		}
		if lost := testutil.ToFloat64(r.metrics.dropped.WithLabelValues("1", reasonCollision)); lost != 2 {
			t.Errorf("%v samples counted, want 2", lost)
		}
	})
}

func TestExternalLabelsAreAddedWhereAbsent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		with, without := &receiver{}, &receiver{}
		r := newRig(t, DefaultConfig(), map[string]*receiver{"with": with, "without": without}, endpointTo("without"),
			endpointTo("with", func(c *remotewrite.Config) {
				c.ExternalLabels = map[string]string{"cluster": "c1", "seed": "never", "zone": "z", "none": ""}
			}))
		r.push(t, rowOf(1, 7))
		r.stop()
		if diff := cmp.Diff([]string{"[{__name__ m} {cluster c1} {i 0} {seed 7} {zone z}] 0 @1790000000000"}, with.got()); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(linesOf(1, 7), without.got()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAReceiverThatIgnores2LosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		deaf := &receiver{}
		r := newRig(t, DefaultConfig(), map[string]*receiver{"deaf": deaf},
			endpointTo("deaf", func(c *remotewrite.Config) { c.ProtobufMessage = remotewrite.Message2 }))
		var want []string
		for i := range 4 {
			r.push(t, rowOf(3, i))
			want = append(want, linesOf(3, i)...)
			pass(2 * time.Second)
		}
		r.stop()
		if diff := cmp.Diff(want, deaf.got()); diff != "" {
			t.Error(diff)
		}
		if got := []int{0, 3, 3, 3, 3}; !slices.Equal(deaf.sizes, got) {
			t.Errorf("requests held %v samples of 1.0, want %v", deaf.sizes, got)
		}
		if r.encoders.groups[0].variant.extended {
			t.Error("blocks are still made for 2.0")
		}
	})
}

func TestUpdateKeepsQueuesByName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dead, live, gone := &receiver{hang: true}, &receiver{}, &receiver{}
		receivers := map[string]*receiver{"dead": dead, "live": live, "gone": gone}
		r := newRig(t, DefaultConfig(), receivers, endpointTo("dead"), endpointTo("gone"))
		r.push(t, rowOf(3, 1))
		pass(500 * time.Millisecond)
		if err := r.Update([]remotewrite.Config{endpointTo("live")}); err != nil {
			t.Fatal(err)
		}
		r.push(t, rowOf(3, 2))
		pass(2 * time.Second)
		if diff := cmp.Diff(slices.Concat(linesOf(3, 1), linesOf(3, 2)), live.got()); diff != "" {
			t.Errorf("a changed address lost its queue:\n%s", diff)
		}
		if diff := cmp.Diff(linesOf(3, 1), gone.got()); diff != "" {
			t.Errorf("a removed endpoint was not drained:\n%s", diff)
		}
		if err := r.Update([]remotewrite.Config{endpointTo("nowhere")}); err == nil || len(r.Endpoints()) != 1 {
			t.Errorf("an endpoint that cannot be built: %v", err)
		}
	})
}

func TestUnchangedEndpointsGoOnUndisturbed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &receiver{hang: true}
		r := newRig(t, DefaultConfig(), map[string]*receiver{"slow": slow, "b": {}}, endpointTo("slow"))
		r.push(t, rowOf(3, 1))
		pass(2 * time.Second)
		if err := r.Update([]remotewrite.Config{endpointTo("slow"), endpointTo("b")}); err != nil {
			t.Fatal(err)
		}
		pass(2 * time.Second)
		slow.mu.Lock()
		defer slow.mu.Unlock()
		if slow.tries != 1 {
			t.Errorf("%d attempts: the one in flight was cut off", slow.tries)
		}
	})
}

func TestNamesAreUnique(t *testing.T) {
	named := func(names ...string) (all []remotewrite.Config) {
		for _, n := range names {
			all = append(all, remotewrite.Config{Name: n})
		}
		return all
	}
	if names, err := Names(named("", "n9e", "")); err != nil || !slices.Equal(names, []string{"1", "n9e", "3"}) {
		t.Errorf("got %v, %v", names, err)
	}
	if _, err := Names(named("2", "")); err == nil || err.Error() != `name = "2" is taken by [[writers]] 1: want another` {
		t.Errorf("got %v", err)
	}
}

func TestConfigValidate(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(*Config)
		want string
	}{
		{"defaults are valid", func(*Config) {}, ""},
		{"Categraf's zeros mean the defaults", func(c *Config) { c.Batch, c.ChanSize = 0, -1 }, ""},
		{"linger", func(c *Config) { c.Linger = unit.Seconds(61) }, "linger = 1m1s: want 0s to 1m"},
		{"queue", func(c *Config) { c.QueueMaxMemory = 1000 }, "queue_max_memory = 1000: want 1MiB or more"},
		{"drain", func(c *Config) { c.DrainTimeout = unit.Seconds(-1) }, "drain_timeout = -1s: want 0s to 10m"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := DefaultConfig()
			tt.edit(&cfg)
			got := ""
			if err := cfg.Validate(); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	cfg := Config{Batch: 0, ChanSize: -5}.effective()
	if cfg.Batch != 1000 || cfg.ChanSize != 1_000_000 || (Config{Batch: 1 << 20}).effective().Batch != 10_000 {
		t.Errorf("effective settings are %+v", cfg)
	}
}

func TestMetricsAreWellFormed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, DefaultConfig(), map[string]*receiver{"a": {}}, endpointTo("a"))
		r.push(t, rowOf(3, 1))
		pass(2 * time.Second)
		problems, err := testutil.GatherAndLint(r.reg)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range problems {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
		if n, err := testutil.GatherAndCount(r.reg, "kinglet_writer_queue_samples", "kinglet_writer_samples_total"); n != 2 || err != nil {
			t.Errorf("%d series, %v", n, err)
		}
	})
}

// pass lets time go by in a bubble.
func pass(d time.Duration) { <-time.After(d) }
