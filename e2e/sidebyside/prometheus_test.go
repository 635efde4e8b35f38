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
	config  *config.Config
	groups  chan map[string][]*targetgroup.Group
	done    chan error
}

func newPrometheus(t *testing.T, w *world, name string) *side {
	t.Helper()
	s := newSide(t, w, name)
	text, err := prometheusYAML(w.jobs)
	if err != nil {
		t.Fatal(err)
	}
	quiet := slog.New(slog.DiscardHandler)
	cfg, err := config.Load(text, quiet)
	if err != nil {
		t.Fatalf("Prometheus does not take the script's jobs: %v\n%s", err, text)
	}
	options := &scrape.Options{
		DiscoveryReloadInterval:  model.Duration(50 * time.Millisecond),
		DiscoveryReloadOnStartup: true,
	}
	manager, err := scrape.NewManager(options, quiet, nil, nil, s.db, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	if err := manager.ApplyConfig(cfg); err != nil {
		t.Fatal(err)
	}
	s.scraper = &scrapeManager{
		side: s, manager: manager, config: cfg,
		groups: make(chan map[string][]*targetgroup.Group), done: make(chan error, 1),
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

// apply tells the manager its targets, as service discovery does, after
// applying the configuration again, as a reload does.
func (m *scrapeManager) apply(active map[string]bool) error {
	if err := m.manager.ApplyConfig(m.config); err != nil {
		return err
	}
	sets := map[string][]*targetgroup.Group{}
	for _, j := range m.side.world.jobs {
		group := &targetgroup.Group{Source: "script"}
		for _, address := range m.side.addresses(j.name, active) {
			group.Targets = append(group.Targets, model.LabelSet{
				model.AddressLabel: model.LabelValue(address), targetLabel: model.LabelValue(address),
			})
		}
		sets[j.name] = []*targetgroup.Group{group}
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
