//go:build e2e

package sidebyside

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/scrape"
)

// scrapeManager is Prometheus' own scraper, which writes to the side's
// database.
type scrapeManager struct {
	side    *side
	manager *scrape.Manager
	groups  chan map[string][]*targetgroup.Group
	done    chan error
}

func newPrometheus(t *testing.T, w *world, name string) *side {
	t.Helper()
	s := newSide(t, w, name)
	options := &scrape.Options{
		DiscoveryReloadInterval:  model.Duration(50 * time.Millisecond),
		DiscoveryReloadOnStartup: true,
		ParseST:                  true,
	}
	manager, err := scrape.NewManager(options, slog.New(slog.DiscardHandler), nil, nil, s.db, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	s.scraper = &scrapeManager{
		side: s, manager: manager, groups: make(chan map[string][]*targetgroup.Group), done: make(chan error, 1),
	}
	return s
}

func (m *scrapeManager) start(t *testing.T, active map[string]bool) {
	t.Helper()
	go func() { m.done <- m.manager.Run(m.groups) }()
	if err := m.apply(active); err != nil {
		t.Fatal(err)
	}
}

// apply loads the configuration of the jobs that have targets, as a reload
// does, and tells the manager the targets, as service discovery does.
func (m *scrapeManager) apply(active map[string]bool) error {
	var jobs []job
	sets := map[string][]*targetgroup.Group{}
	for _, j := range m.side.world.jobs {
		addresses := m.side.addresses(j.name, active)
		if len(addresses) == 0 {
			continue
		}
		jobs = append(jobs, j)
		group := &targetgroup.Group{Source: "script"}
		for _, address := range addresses {
			group.Targets = append(group.Targets, model.LabelSet{
				model.AddressLabel: model.LabelValue(address), targetLabel: model.LabelValue(address),
			})
		}
		sets[j.name] = []*targetgroup.Group{group}
	}
	text, err := prometheusYAML(jobs)
	if err != nil {
		return err
	}
	cfg, err := config.Load(text, slog.New(slog.DiscardHandler))
	if err != nil {
		return fmt.Errorf("load %s: %w", text, err)
	}
	if err := m.manager.ApplyConfig(cfg); err != nil {
		return err
	}
	select {
	case m.groups <- sets:
		return nil
	case <-time.After(10 * time.Second):
		return fmt.Errorf("the scrape manager takes no targets")
	}
}

func (m *scrapeManager) ended() string {
	select {
	case err := <-m.done:
		return fmt.Sprint(err)
	default:
		return ""
	}
}

func (m *scrapeManager) stop(t *testing.T) {
	t.Helper()
	m.manager.Stop()
	if err := <-m.done; err != nil {
		t.Errorf("scrape manager: %v", err)
	}
}
