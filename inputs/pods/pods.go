// Package pods is the input that scrapes the pods of this node, and of no other
// node: those that their annotations or the configuration name. It asks the
// kubelet for them, or the API server where the kubelet may not be asked, and
// can say of every pod why it is scraped or why it is not.
package pods

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"kinglet"
	"kinglet/conf/httpclient"
	"kinglet/inputs"
	"kinglet/inputs/scrape"
	"kinglet/k8s"
)

// Name is the input's name: its folder is input.pods.
const Name = "pods"

// Input scrapes this node's pods.
type Input struct {
	log     *slog.Logger
	manager *scrape.Manager
	metrics *metrics
	lookup  func(string) (string, bool)
	wake    chan struct{} // groups changed

	mu       sync.Mutex // guards what follows
	groups   []*group
	clients  *scrape.Clients[*httpclient.Client]
	verdicts []Verdict
}

// group is the instances that share a source.
type group struct {
	finder    *finder
	instances []*instance
}

var (
	_ inputs.Input    = (*Input)(nil)
	_ inputs.Reporter = (*Input)(nil)
)

// New checks and builds the input. It opens no connection.
func New(cfgs []Config, settings inputs.Settings, log *slog.Logger, reg prometheus.Registerer) (*Input, error) {
	return newInput(cfgs, settings, log, reg, os.LookupEnv)
}

func newInput(cfgs []Config, settings inputs.Settings, log *slog.Logger, reg prometheus.Registerer,
	lookup func(string) (string, bool)) (*Input, error) {
	manager, err := scrape.NewManager(Name, log, reg)
	if err != nil {
		return nil, err
	}
	m, err := newMetrics(reg)
	if err != nil {
		return nil, err
	}
	in := &Input{
		log: log.With("input", Name), manager: manager, metrics: m, lookup: lookup, wake: make(chan struct{}, 1),
		clients: &scrape.Clients[*httpclient.Client]{},
	}
	return in, in.Update(cfgs, settings)
}

// Update makes cfgs the instances, while Run runs or before. Targets whose
// settings did not change are not touched, and pods that are known stay known.
// If there is any fault, nothing changes.
func (in *Input) Update(cfgs []Config, settings inputs.Settings) error {
	in.mu.Lock()
	clients := in.clients.Next()
	groups, err := in.group(cfgs, settings, clients)
	if err != nil {
		in.mu.Unlock()
		return err
	}
	clients.Settle()
	in.manager.LimitSeries(settings.MaxSeries)
	in.groups, in.clients = groups, clients
	in.mu.Unlock()
	in.judge()
	select {
	case in.wake <- struct{}{}:
	default:
	}
	return nil
}

// group builds the instances and puts those with one source together. A source
// that was there before stays, if it keeps what is needed.
func (in *Input) group(cfgs []Config, settings inputs.Settings, clients *scrape.Clients[*httpclient.Client]) ([]*group, error) {
	client := func(cfg httpclient.Config) (*httpclient.Client, error) {
		return clients.Of(fmt.Sprintf("%+v", cfg), func() (*httpclient.Client, error) { return httpclient.New(cfg) })
	}
	var groups []*group
	for n, cfg := range cfgs {
		node := k8s.ThisNode(cfg.NodeName, in.lookup)
		made, err := newInstance(cfg, n+1, node.Name, settings, client)
		if err != nil {
			return nil, fmt.Errorf("instance %d: %w", n+1, err)
		}
		at := slices.IndexFunc(groups, func(g *group) bool { return g.instances[0].cfg.SourceConfig == cfg.SourceConfig })
		if at < 0 {
			at, groups = len(groups), append(groups, &group{})
		}
		groups[at].instances = append(groups[at].instances, made)
	}
	for _, g := range groups {
		if err := in.giveFinder(g, settings); err != nil {
			return nil, err
		}
	}
	return groups, nil
}

// giveFinder gives a group the finder of the group before it, or a new one.
func (in *Input) giveFinder(g *group, settings inputs.Settings) error {
	first := g.instances[0].cfg
	var old *finder
	for _, before := range in.groups {
		if before.instances[0].cfg.SourceConfig == first.SourceConfig {
			old = before.finder
			if slices.Equal(before.needs(), g.needs()) {
				g.finder = old
				return nil
			}
		}
	}
	node := k8s.ThisNode(first.NodeName, in.lookup)
	kubelet, err := k8s.NewKubelet(first.SourceConfig.kubelet(), node)
	if err != nil {
		return err
	}
	instances := g.instances
	f := &finder{
		cfg: first.SourceConfig, node: node, kubelet: kubelet, again: refusedAgain, metrics: in.metrics, changed: in.judge,
		log: in.log.With("node", node.Name),
		keep: k8s.Fields{Annotation: func(name string) bool {
			return slices.ContainsFunc(instances, func(i *instance) bool { return i.keepsAnnotation(name) })
		}},
	}
	if first.Source != sourceKubelet {
		f.watch, f.noWatch = k8s.NewPodWatch(first.api(), node, g.namespaces(), f.keep, settings.UserAgent, in.lookup, f.log)
		if f.noWatch != nil {
			f.watch = nil
		}
	}
	if old != nil { // its pods lack what the new one keeps: they are shown until it has its own
		f.state = old.found()
		f.state.tried, f.state.err = false, nil
	}
	g.finder = f
	return nil
}

// needs is equal for groups that one finder can serve.
func (g *group) needs() []string {
	needs := g.namespaces()
	for _, i := range g.instances {
		needs = append(needs, "\xff"+i.cfg.AnnotationPrefix, fmt.Sprint(i.rules.Len() > 0))
	}
	return needs
}

// namespaces are those that the group's instances name; nil is all.
func (g *group) namespaces() []string {
	var all []string
	for _, i := range g.instances {
		names := i.cfg.plainNamespaces()
		if len(names) == 0 {
			return nil
		}
		all = append(all, names...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Run scrapes until ctx ends.
func (in *Input) Run(ctx context.Context, out kinglet.Sink) error {
	defer in.close()
	var tasks sync.WaitGroup
	defer tasks.Wait()
	tasks.Go(func() { in.find(ctx) })
	return in.manager.Run(ctx, out)
}

// find keeps a finder running for each group until ctx ends.
func (in *Input) find(ctx context.Context) {
	type task struct {
		stop context.CancelFunc
		done chan struct{}
	}
	running := map[*finder]task{}
	end := func(f *finder) {
		running[f].stop()
		<-running[f].done
		delete(running, f)
	}
	for {
		wanted := in.finders()
		for f := range running {
			if !slices.Contains(wanted, f) {
				end(f)
			}
		}
		for _, f := range wanted {
			if _, there := running[f]; there {
				continue
			}
			own, stop := context.WithCancel(ctx)
			t := task{stop, make(chan struct{})}
			running[f] = t
			go func() {
				defer close(t.done)
				f.Run(own)
			}()
		}
		select {
		case <-in.wake:
			continue
		case <-ctx.Done():
		}
		for f := range running {
			end(f)
		}
		return
	}
}

func (in *Input) finders() []*finder {
	in.mu.Lock()
	defer in.mu.Unlock()
	all := make([]*finder, len(in.groups))
	for n, g := range in.groups {
		all[n] = g.finder
	}
	return all
}

// Once finds the pods and scrapes each one time.
func (in *Input) Once(ctx context.Context, out kinglet.Sink) (down int, err error) {
	defer in.close()
	var faults []error
	for _, f := range in.finders() {
		if err := f.once(ctx); err != nil {
			faults = append(faults, fmt.Errorf("find the pods of this node: %w", err))
			f.failed(f.cfg.Source, err)
		}
	}
	down, err = in.manager.Once(ctx, out)
	return down, errors.Join(append(faults, err)...)
}

// judge makes targets of the pods that are known. It waits until every source
// has been tried, so that no target is ended for want of an answer.
func (in *Input) judge() {
	in.mu.Lock()
	defer in.mu.Unlock()
	var targets []scrape.Target
	var verdicts []Verdict
	keys, known := map[string]int{}, map[string]bool{}
	for _, g := range in.groups {
		found := g.finder.found()
		if !found.tried {
			return
		}
		for _, pod := range found.pods {
			known[pod.UID] = true
		}
		for _, i := range g.instances {
			places, judged := i.plan(found.pods)
			for _, p := range places {
				t := i.target(p)
				if other, taken := keys[t.Key]; taken {
					duplicateOf(judged, p, other)
					continue
				}
				keys[t.Key] = i.number
				targets = append(targets, t)
			}
			verdicts = append(verdicts, judged...)
		}
	}
	slices.SortStableFunc(verdicts, compareVerdicts)
	in.verdicts = verdicts
	in.metrics.judged(len(known), verdicts)
	in.manager.Update(targets)
}

// duplicateOf says of a place that another instance scrapes it.
func duplicateOf(verdicts []Verdict, p *place, other int) {
	for n := range verdicts {
		v := &verdicts[n]
		if v.Scraped && v.Namespace == p.pod.Namespace && v.Pod == p.pod.Name && v.Port == p.number && v.URL == p.url() {
			v.Scraped, v.Code = false, Duplicate
			v.Reason = fmt.Sprintf("%s is scraped with the same labels by instance %d already", v.URL, other)
		}
	}
}

// Targets tells how the targets are doing.
func (in *Input) Targets() []inputs.Target { return in.manager.Targets() }

// Report tells what became of every pod of this node.
func (in *Input) Report() Report {
	targets := in.manager.Targets()
	in.mu.Lock()
	defer in.mu.Unlock()
	r := Report{Pods: withHealth(in.verdicts, targets), Sources: make([]SourceReport, 0, len(in.groups))}
	for _, g := range in.groups {
		r.Sources = append(r.Sources, g.finder.report())
	}
	return r
}

// NotReady says what the input waits for before it can scrape, or "".
func (in *Input) NotReady() string {
	for _, f := range in.finders() {
		if s := f.report(); s.Source == "" {
			return "the pods of this node are not known: " + cmp.Or(s.Error, "they are being asked for")
		}
	}
	return ""
}

func (f *finder) report() SourceReport {
	found := f.found()
	s := SourceReport{Node: f.node.Name, Source: found.source, Pods: len(found.pods), Updated: found.at, KubeletRefuses: found.refused}
	if found.err != nil {
		s.Error = found.err.Error()
	}
	return s
}

func (in *Input) close() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.clients.Close()
}
