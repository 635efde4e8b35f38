//go:build e2e

package sidebyside

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// targetLabel is a label that every series has: the address of its target,
// whatever page and relabeling do to "instance".
const targetLabel = "target"

// world is what all sides have in common: the script.
type world struct {
	targets map[string]*target
	jobs    []job // in the order of the script
}

func newWorld(t *testing.T, targets []*target) *world {
	t.Helper()
	w := &world{targets: map[string]*target{}}
	for _, tg := range targets {
		if w.targets[tg.name] != nil {
			t.Fatalf("two targets are named %s", tg.name)
		}
		w.targets[tg.name] = tg
		if !slices.ContainsFunc(w.jobs, func(j job) bool { return j.name == tg.job.name }) {
			w.jobs = append(w.jobs, tg.job)
		}
	}
	return w
}

// wait returns when every side has made its scrapes of every target.
func (w *world) wait(t *testing.T, sides []*side, most int) {
	t.Helper()
	deadline := time.After(time.Duration(most)*time.Second + 45*time.Second)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		missing := w.missing(sides)
		if len(missing) == 0 {
			return
		}
		select {
		case <-deadline:
			t.Errorf("the script did not come to its end: %s", strings.Join(missing, ", "))
			return
		case <-t.Context().Done():
			t.Fatal("the test ended")
		case <-tick.C:
		}
		for _, s := range sides {
			if why := s.scraper.ended(); why != "" {
				t.Fatalf("%s ended: %s", s.name, why)
			}
		}
	}
}

// missing lists targets that were not scraped often enough yet.
func (w *world) missing(sides []*side) []string {
	var missing []string
	for _, s := range sides {
		for name, e := range s.endpoints {
			// One scrape more than compared: the last one may be cut by the stop.
			// Those refused were not seen here.
			want := w.targets[name].wantRounds()
			if !s.gone()[name] {
				want += 2
			}
			for _, st := range w.targets[name].after {
				want -= int(st.refuseFor / time.Second)
			}
			if got := e.served(); got < want {
				missing = append(missing, fmt.Sprintf("%s %s %d of %d", s.name, name, got, want))
			}
		}
	}
	slices.Sort(missing)
	return missing
}

// scraper is a program that scrapes the active targets of a side.
type scraper interface {
	start(t *testing.T, active map[string]bool)
	apply(active map[string]bool) error
	ended() string     // why it ended too early, or ""
	stop(t *testing.T) // ends it and waits until everything is stored
}

// side is one scraper, its addresses of the targets, and its database.
type side struct {
	name      string
	world     *world
	db        *tsdb.DB
	endpoints map[string]*endpoint
	scraper   scraper
	receiver  *receiver // nil if the scraper writes to db by itself

	mu     sync.Mutex
	active map[string]bool
	faults []string
	over   bool
}

func newSide(t *testing.T, w *world, name string) *side {
	t.Helper()
	s := &side{name: name, world: w, endpoints: map[string]*endpoint{}, active: map[string]bool{}, db: openDB(t)}
	for _, tg := range w.targets {
		e, err := newEndpoint(tg, s)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(e.close)
		s.endpoints[tg.name] = e
		s.active[tg.name] = !tg.joins
	}
	return s
}

func openDB(t *testing.T) *tsdb.DB {
	t.Helper()
	o := tsdb.DefaultOptions()
	o.EnableExemplarStorage, o.MaxExemplars = true, 1_000_000
	// Start timestamps are kept with samples.
	o.EnableSTStorage, o.EnableHistogramSTEncoding = true, true
	o.FloatChunkEncoding, o.XOR2EncodingAllowed = chunkenc.EncXOR2, true
	db, err := tsdb.Open(t.TempDir(), slog.New(slog.DiscardHandler), nil, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func (s *side) start(t *testing.T) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scraper.start(t, maps.Clone(s.active))
}

// stop ends the side's scraper once nothing more is changed about it.
func (s *side) stop(t *testing.T) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	s.scraper.stop(t)
	for _, f := range s.faults {
		t.Errorf("%s: %s", s.name, f)
	}
}

// gone are the targets that the script has removed for good.
func (s *side) gone() map[string]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	gone := map[string]bool{}
	for name := range s.endpoints {
		gone[name] = !s.active[name]
	}
	return gone
}

// addresses are those of the active targets of a job, in a fixed order.
func (s *side) addresses(job string, active map[string]bool) []string {
	var found []string
	for _, name := range sortedKeys(s.endpoints) {
		if active[name] && s.world.targets[name].job.name == job {
			found = append(found, s.endpoints[name].address)
		}
	}
	return found
}

func (s *side) fault(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, fmt.Sprintf(format, args...))
}

// later does what a script wants done after a request.
func (s *side) later(e *endpoint, st step) {
	if st.refuseFor > 0 {
		time.AfterFunc(st.delay, func() { e.refuse(st.refuseFor) })
		return
	}
	time.AfterFunc(st.delay, func() { s.change(st.add, st.remove) })
	if st.thenDelay > 0 {
		time.AfterFunc(st.delay+st.thenDelay, func() { s.change(st.thenAdd, st.thenRemove) })
	}
}

// change gives the scraper another configuration.
func (s *side) change(add, remove string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return
	}
	if add != "" {
		s.active[add] = true
	}
	delete(s.active, remove)
	if err := s.scraper.apply(maps.Clone(s.active)); err != nil {
		s.faults = append(s.faults, fmt.Sprintf("add %q, remove %q: %v", add, remove, err))
	}
}
