package scrape

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"kinglet"
	"kinglet/inputs"
)

// Manager keeps one loop per target of an input.
type Manager struct {
	input   string
	log     *slog.Logger
	metrics *metrics
	scratch scratch
	budget  budget
	rooms   rooms
	shift   uint64 // of this host's phases

	mu    sync.Mutex
	loops map[string]*loop
	start func(*loop) // nil unless Run runs
}

// NewManager makes a Manager for the input of that name. Managers of one
// registry share their metrics, which have the input's name as a label.
func NewManager(input string, log *slog.Logger, reg prometheus.Registerer) (*Manager, error) {
	m, err := newMetrics(reg)
	if err != nil {
		return nil, err
	}
	return &Manager{
		input: input, log: log.With("input", input), metrics: m, scratch: newScratch(), loops: map[string]*loop{}, shift: hostShift(),
	}, nil
}

// LimitSeries bounds what all targets together remember to the memory of n
// series of usual size, 1 KiB each; 0 = no bound. A scrape whose new series would
// exceed it fails with a LimitError named memory_limit.
func (m *Manager) LimitSeries(n int) { m.budget.limit.Store(int64(max(n, 0)) * seriesBytes) }

// Update makes targets those that are scraped; it may be called before Run and
// while it runs, and does not block. A target that was there before keeps its
// phase; if its Settings are equal it is not touched at all, else the scrape
// that may be in progress is finished first. A target that is gone is ended
// after a little more than two intervals, unless it comes back. Of several
// targets with one Key the first counts.
func (m *Manager) Update(targets []Target) {
	m.mu.Lock()
	named := make(map[string]bool, len(targets))
	for i := range targets {
		t := &targets[i]
		t.shift = m.shift
		if named[t.Key] {
			m.log.Warn("a target is configured twice, the second is left out", "target", shownURL(t.URL))
			continue
		}
		named[t.Key] = true
		m.want(t)
	}
	for key, l := range m.loops {
		switch {
		case named[key]:
		case m.start == nil:
			delete(m.loops, key)
		case !l.leaving:
			l.leaving = true
			l.status.leave()
			l.notify()
		}
	}
	m.mu.Unlock()
	m.countTargets()
}

// want is Update for one target. The caller holds m.mu.
func (m *Manager) want(t *Target) {
	l, there := m.loops[t.Key]
	if there && m.start != nil {
		if l.leaving || l.wanted.Settings != t.Settings {
			l.wanted, l.leaving = t, false
			l.notify()
		}
		return
	}
	l = &loop{m: m, wake: make(chan struct{}, 1), wanted: t}
	l.use(t)
	m.loops[t.Key] = l
	if m.start != nil {
		m.start(l)
	}
}

// notify wakes the loop; one waking is enough for several changes.
func (l *loop) notify() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// forget takes out a loop whose target has left, unless it is wanted again.
func (m *Manager) forget(l *loop) bool {
	m.mu.Lock()
	left := l.leaving
	if left {
		delete(m.loops, l.target.Key)
	}
	m.mu.Unlock()
	m.countTargets()
	return left
}

// Run scrapes until ctx ends, then waits for every loop. It writes no stale
// markers then: kinglet is presumed to come back (RW-49). It is called once.
func (m *Manager) Run(ctx context.Context, out kinglet.Sink) error {
	var loops sync.WaitGroup
	m.mu.Lock()
	m.start = func(l *loop) { loops.Go(func() { l.live(ctx, out) }) }
	for _, l := range m.loops {
		m.start(l)
	}
	m.mu.Unlock()
	<-ctx.Done()
	m.mu.Lock()
	m.start = func(*loop) {} // targets that come now are not scraped any more
	m.mu.Unlock()
	loops.Wait()
	return nil
}

// Once scrapes every target one time, several at once, and returns how many
// were down. The error is the first that out had. It is not used together with
// Run.
func (m *Manager) Once(ctx context.Context, out kinglet.Sink) (down int, err error) {
	const atOnce = 16
	var (
		wait  sync.WaitGroup
		mu    sync.Mutex
		slots = make(chan struct{}, atOnce)
	)
	for _, l := range m.sorted() {
		slots <- struct{}{}
		wait.Go(func() {
			defer func() { <-slots }()
			failed, lost := l.once(ctx, out)
			mu.Lock()
			defer mu.Unlock()
			if failed != nil {
				down++
			}
			if err == nil {
				err = lost
			}
		})
	}
	wait.Wait()
	return down, cmp.Or(ctx.Err(), err)
}

// Targets tells how the targets are doing, in the order of their URLs. Those
// that are leaving are not among them.
func (m *Manager) Targets() []inputs.Target {
	var targets []inputs.Target
	for _, l := range m.sorted() {
		if t, leaving := l.status.snapshot(); !leaving {
			targets = append(targets, t)
		}
	}
	return targets
}

func (m *Manager) sorted() []*loop {
	m.mu.Lock()
	keys := make([]string, 0, len(m.loops))
	for key := range m.loops {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	loops := make([]*loop, len(keys))
	for i, key := range keys {
		loops[i] = m.loops[key]
	}
	m.mu.Unlock()
	slices.SortStableFunc(loops, func(a, b *loop) int {
		x, _ := a.status.snapshot()
		y, _ := b.status.snapshot()
		return strings.Compare(x.URL, y.URL)
	})
	return loops
}

// countTargets brings the gauge of targets up to date.
func (m *Manager) countTargets() {
	m.mu.Lock()
	defer m.mu.Unlock()
	counts := map[string]int{"up": 0, "down": 0, "unknown": 0, "leaving": 0}
	for _, l := range m.loops {
		t, leaving := l.status.snapshot()
		switch {
		case leaving:
			counts["leaving"]++
		case t.LastScrape.IsZero():
			counts["unknown"]++
		case t.Up:
			counts["up"]++
		default:
			counts["down"]++
		}
	}
	for state, n := range counts {
		m.metrics.targets.WithLabelValues(m.input, state).Set(float64(n))
	}
}
