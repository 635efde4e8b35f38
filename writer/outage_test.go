package writer

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"kinglet"
	"kinglet/conf/unit"
	"kinglet/writer/remotewrite"
)

// The node of the outage: every 15 s a scrape of each target.
const (
	outageTargets  = 10
	outageSeries   = 400 // of each target
	outageInterval = 15 * time.Second
	outageLength   = 2 * time.Hour
)

// outageValue is what a series is worth at a time: a third of them moves.
func outageValue(ms int64, target, i int) float64 {
	if i%3 != 0 {
		ms = 0
	}
	return float64(ms/1000) + float64(target*outageSeries+i)/(1<<14)
}

// outageRound is which samples of a round have arrived, a bit for each.
type outageRound [(outageTargets*outageSeries + 63) / 64]uint64

// outageReceiver is an endpoint in memory that is away until it is told, and
// ticks off every sample.
type outageReceiver struct {
	mu      sync.Mutex
	up      bool
	seen    map[int64]*outageRound
	arrived int
	faults  []string
	peak    uint64 // live memory, looked at now and then
	took    int    // requests
}

func (r *outageReceiver) Forget() {}

func (r *outageReceiver) Do(request *http.Request) (*http.Response, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.up {
		return &http.Response{StatusCode: http.StatusServiceUnavailable, Header: http.Header{}, Body: http.NoBody}, nil
	}
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	series, err := remotewrite.Decode(body)
	if err != nil {
		r.faults = append(r.faults, err.Error())
	}
	for _, s := range series {
		for _, x := range s.Samples {
			r.book(s.Labels, x.TimestampMs, x.Value)
		}
	}
	if r.took++; r.took%200 == 0 {
		r.peak = max(r.peak, live())
	}
	return &http.Response{StatusCode: http.StatusNoContent, Header: http.Header{}, Body: http.NoBody}, nil
}

func (r *outageReceiver) book(labels []kinglet.Label, ms int64, value float64) {
	var target, i int
	for _, l := range labels {
		switch l.Name {
		case "target":
			target, _ = strconv.Atoi(l.Value)
		case "i":
			i, _ = strconv.Atoi(l.Value)
		}
	}
	round := r.seen[ms]
	n := target*outageSeries + i
	switch {
	case round == nil:
		r.faults = append(r.faults, fmt.Sprintf("%v at %d: no scrape was then", labels, ms))
	case math.Float64bits(value) != math.Float64bits(outageValue(ms, target, i)):
		r.faults = append(r.faults, fmt.Sprintf("%v at %d is %v", labels, ms, value))
	case round[n/64]>>(n%64)&1 == 1:
		r.faults = append(r.faults, fmt.Sprintf("%v at %d came twice", labels, ms))
	default:
		round[n/64] |= 1 << (n % 64)
		r.arrived++
	}
}

// live is the memory in use, in bytes, without garbage.
func live() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestATwoHourOutageTakesDiskAndNoMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("two million samples")
	}
	synctest.Test(t, func(t *testing.T) {
		cfg := DefaultConfig()
		cfg.QueueDir, cfg.QueueMaxBytes = t.TempDir(), unit.GiB
		receiver := &outageReceiver{up: true, seen: map[int64]*outageRound{}}
		r := outageRig(t, cfg, receiver)
		shapes := outageShapes()
		round := func() {
			ms := time.Now().UnixMilli()
			receiver.mu.Lock()
			receiver.seen[ms] = new(outageRound)
			receiver.mu.Unlock()
			for target, shape := range shapes {
				r.push(t, outageRow(shape, target, ms))
			}
			pass(outageInterval)
		}
		for range 20 {
			round()
		}
		before := live()

		receiver.set(false)
		for start := time.Now(); time.Since(start) < outageLength; {
			round()
		}
		during := live()
		waits := r.Endpoints()[0].Queue
		receiver.set(true)
		drained := time.Now()
		for r.Endpoints()[0].Queue.Samples > 0 && time.Since(drained) < time.Hour {
			pass(time.Second)
		}
		took := time.Since(drained)
		r.stop()

		pushed := len(receiver.seen) * outageTargets * outageSeries
		t.Logf("%d samples, %d of them in %d bytes when the outage ended; sent in %v; live memory %.1f MiB before, %.1f during, at most %.1f after",
			pushed, waits.Samples, waits.Bytes, took, mebi(before), mebi(during), mebi(receiver.peak))
		if receiver.arrived != pushed || len(receiver.faults) > 0 {
			t.Errorf("%d of %d samples arrived; %d faults, such as %q", receiver.arrived, pushed, len(receiver.faults),
				strings.Join(receiver.faults[:min(5, len(receiver.faults))], "; "))
		}
		if lost := testutil.ToFloat64(r.metrics.dropped.WithLabelValues("1", "queue_full")); lost > 0 {
			t.Errorf("%v samples are counted as lost", lost)
		}
		if most := max(during, receiver.peak); most > before+8<<20 {
			t.Errorf("live memory grew by %.1f MiB, want 8 at most", mebi(most-before))
		}
	})
}

// outageRig is a running pipeline to that endpoint.
func outageRig(t *testing.T, cfg Config, to remotewrite.Doer) *rig {
	t.Helper()
	p, err := newPipeline(cfg, slog.New(slog.DiscardHandler), func(remotewrite.Config) (remotewrite.Doer, error) { return to, nil })
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Update([]remotewrite.Config{endpointTo("a")}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := p.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	r := &rig{Pipeline: p, stop: sync.OnceFunc(func() { cancel(); running.Wait() })}
	t.Cleanup(r.stop)
	return r
}

func mebi(n uint64) float64 { return float64(n) / (1 << 20) }

func (r *outageReceiver) set(up bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.up = up
}

func outageShapes() []*kinglet.Shape {
	shapes := make([]*kinglet.Shape, outageTargets)
	for target := range shapes {
		series := make([]kinglet.Series, outageSeries)
		for i := range series {
			series[i].Labels = []kinglet.Label{
				{Name: "__name__", Value: "container_memory_usage_bytes"}, {Name: "i", Value: strconv.Itoa(i)},
				{Name: "namespace", Value: "default"}, {Name: "target", Value: strconv.Itoa(target)},
			}
		}
		shapes[target] = kinglet.NewShape(series)
	}
	return shapes
}

func outageRow(shape *kinglet.Shape, target int, ms int64) *kinglet.Row {
	values := make([]float64, outageSeries)
	for i := range values {
		values[i] = outageValue(ms, target, i)
	}
	return &kinglet.Row{Shape: shape, TimestampMs: ms, Values: values, Target: uint64(target + 1)}
}
