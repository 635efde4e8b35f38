package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// errEnded says that the agent is gone, unasked.
var errEnded = errors.New("the agent ended by itself")

// runner measures one agent in one scenario at a time.
type runner struct {
	work string // folder for agents' files; "" = the system's
	keep bool   // leave them there
}

// run measures a in s. What went wrong is in the result as well.
func (r runner) run(ctx context.Context, a agent, s scenario) (result, error) {
	res := newResult(a, s)
	for range max(1, s.Cold) {
		if err := r.once(ctx, a, s, &res); err != nil {
			res.Failed = err.Error()
			return res, fmt.Errorf("%s in %s: %w", a.Name, s.Name, err)
		}
	}
	return res, nil
}

// once is one life of an agent, from its start to its end.
func (r runner) once(ctx context.Context, a agent, s scenario, res *result) error {
	t, err := startTargets(s)
	if err != nil {
		return err
	}
	defer t.close()
	res.Series = t.served().series
	l := newLedger(len(t.all), t.begun)
	e, err := startEndpoint(l)
	if err != nil {
		return err
	}
	defer e.close()
	dir, err := os.MkdirTemp(r.work, "bench-"+a.Name+"-"+s.Name+"-")
	if err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	if !r.keep {
		defer os.RemoveAll(dir) //nolint:errcheck // a folder of temporary files
	}
	debug.FreeOSMemory() // of the run before

	w := &watch{agent: a, scenario: s, dir: dir, targets: t, endpoint: e, res: res}
	w.load = load{targets: t, interval: s.Interval, endpoint: "http://" + e.address + "/api/v1/write"}
	if w.process, err = a.start(ctx, dir, w.load); err != nil {
		return err
	}
	defer func() { w.process.stop() }()
	if s.Cold > 0 {
		err = w.coldStart(ctx)
	} else {
		err = w.measure(ctx)
	}
	if err != nil {
		return w.process.explain(err)
	}
	return nil
}

// watch is one run under way.
type watch struct {
	agent    agent
	scenario scenario
	dir      string
	load     load
	targets  *targets
	endpoint *endpoint
	process  *process
	res      *result

	begin   cpuTime // of the process that runs
	past    cpuTime // of processes that ended, within the measurement
	rss     []int64
	stopped bool // killed, and not started again yet
}

// coldStart waits for a sample of every target.
func (w *watch) coldStart(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 4*w.scenario.Interval+20*time.Second, errors.New("not every target's samples arrived"))
	defer cancel()
	for {
		first, complete := w.endpoint.ledger.starts()
		if !complete.IsZero() {
			w.res.FirstMs = append(w.res.FirstMs, ms(first.Sub(w.process.started)))
			w.res.AllMs = append(w.res.AllMs, ms(complete.Sub(w.process.started)))
			err := w.sampleMemory()
			w.res.RSSMean = mean(w.rss)
			return err
		}
		if !w.process.alive() {
			return errEnded
		}
		if err := wait(ctx, 5*time.Millisecond); err != nil {
			return context.Cause(ctx)
		}
	}
}

// step is something to do at a moment of the measurement.
type step struct {
	at time.Duration
	do func(context.Context) error
}

// steps are all of a measurement, in their order.
func (w *watch) steps() []step {
	s := w.scenario
	var all []step
	for at := time.Second; at < s.Measure; at += time.Second {
		all = append(all, step{at, func(context.Context) error { return w.sampleMemory() }})
	}
	for _, f := range s.Faults {
		if len(f.Codes) > 0 {
			all = append(all, step{f.At, func(context.Context) error { w.endpoint.answer(f.Codes); return nil }},
				step{f.At + f.For, func(context.Context) error { w.endpoint.answer(nil); return nil }})
			continue
		}
		all = append(all, step{f.At, func(context.Context) error { w.endpoint.down(); return nil }},
			step{f.At + f.For, func(context.Context) error { return w.endpoint.up() }})
	}
	if s.Kill > 0 {
		all = append(all, step{s.Kill, w.kill}, step{s.Restart, w.restart})
	}
	all = append(all, step{s.Measure, func(context.Context) error { return w.sampleMemory() }})
	slices.SortStableFunc(all, func(a, b step) int { return cmp.Compare(a.at, b.at) })
	return all
}

func (w *watch) sampleMemory() error {
	if w.stopped {
		return nil
	}
	if !w.process.alive() {
		return errEnded
	}
	m, err := readMemory(w.process.pid())
	if err != nil {
		return err
	}
	w.rss = append(w.rss, m.rss)
	w.res.RSSPeak = max(w.res.RSSPeak, m.peak)
	return nil
}

// perMemorySpan is how many samples of memory are five minutes'.
const perMemorySpan = 300

// over is the mean memory of each five minutes, nil of a shorter run.
func (w *watch) over() []int64 {
	var means []int64
	for span := range slices.Chunk(w.rss, perMemorySpan) {
		if len(span) == perMemorySpan {
			means = append(means, mean(span))
		}
	}
	return means
}

func (w *watch) kill(context.Context) error {
	now, err := readCPU(w.process.pid())
	if err != nil {
		return err
	}
	w.past = w.past.plus(now.since(w.begin))
	w.process.kill()
	w.stopped = true
	return nil
}

func (w *watch) restart(ctx context.Context) error {
	p, err := w.agent.start(ctx, w.dir, w.load)
	if err != nil {
		return err
	}
	w.process, w.begin, w.stopped = p, cpuTime{}, false
	return nil
}

// measure warms up, measures, then freezes the targets and counts all samples.
func (w *watch) measure(ctx context.Context) error {
	if err := wait(ctx, w.scenario.Warm); err != nil {
		return err
	}
	if !w.process.alive() {
		return errEnded
	}
	var err error
	if w.begin, err = readCPU(w.process.pid()); err != nil {
		return err
	}
	harness, err := readCPU(os.Getpid())
	if err != nil {
		return err
	}
	from, machine := time.Now(), machineCPU()
	traffic, served := w.endpoint.traffic(), w.targets.served()
	for _, s := range w.steps() {
		if err := wait(ctx, time.Until(from.Add(s.at))); err != nil {
			return err
		}
		if err := s.do(ctx); err != nil {
			return err
		}
	}
	now, err := readCPU(w.process.pid())
	if err != nil {
		return err
	}
	harnessNow, err := readCPU(os.Getpid())
	if err != nil {
		return err
	}
	to := time.Now()
	w.res.RSSMean, w.res.RSSOver = mean(w.rss), w.over()
	used := w.past.plus(now.since(w.begin))
	w.res.window(used, traffic, w.endpoint.traffic(), served, w.targets.served())
	w.res.MeasuredS = to.Sub(from).Seconds()
	w.res.OtherCPUS = (machineCPU() - machine - used.total - harnessNow.since(harness).total).Seconds()
	p50, p95, greatest := w.endpoint.ledger.latencyBetween(from, to)
	w.res.LatencyP50Ms, w.res.LatencyP95Ms, w.res.LatencyMaxMs = ms(p50), ms(p95), ms(greatest)
	w.res.DiskBytes = folderSize(filepath.Join(w.dir, "data"))
	return w.count(ctx)
}

// count freezes the targets, waits for all that is due, and books what is
// missing.
func (w *watch) count(ctx context.Context) error {
	w.targets.frozen.Store(true)
	if err := wait(ctx, 200*time.Millisecond); err != nil { // for scrapes being answered
		return err
	}
	due, begin := w.targets.served().samples, time.Now()
	for time.Since(begin) < w.scenario.Drain && w.endpoint.traffic().distinct < due {
		if err := wait(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	w.res.DrainS = time.Since(begin).Seconds()
	if err := w.sampleMemory(); err != nil {
		return err
	}
	t := w.endpoint.traffic()
	w.res.total(due, t)
	if t.bad > 0 {
		return fmt.Errorf("the endpoint could not read %d requests", t.bad)
	}
	return nil
}

// wait returns after d, at once with ctx's error if that ends first.
func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func mean(of []int64) int64 {
	var sum int64
	for _, v := range of {
		sum += v
	}
	return sum / int64(max(1, len(of)))
}

// machine says what the results were measured on.
func machine() string {
	cores := strings.Count(textOf("/proc/cpuinfo"), "processor\t")
	kib, _, _ := strings.Cut(valueAfter("/proc/meminfo", "MemTotal"), " ")
	return fmt.Sprintf("%d cores (%s), %.0f GiB of memory, Linux %s", cores, valueAfter("/proc/cpuinfo", "model name"),
		float64(number(kib))/(1<<20), strings.TrimSpace(textOf("/proc/sys/kernel/osrelease")))
}

func textOf(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return "unknown"
	}
	return string(text)
}
