// Package kubelet is the input that scrapes the metrics pages of this node's
// kubelet: its own, cAdvisor's, the resource page and that of the probes. Each
// is a target of its own. It asks nothing of the API server, and needs no other
// permission than get on nodes/metrics.
package kubelet

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"kinglet"
	"kinglet/inputs"
	"kinglet/inputs/scrape"
	"kinglet/k8s"
)

// Name is the input's name: its folder is input.kubelet.
const Name = "kubelet"

// Input scrapes pages of this node's kubelet.
type Input struct {
	*scrape.Instances[Config, *k8s.Kubelet]
}

var (
	_ inputs.Input    = (*Input)(nil)
	_ inputs.Reporter = (*Input)(nil)
)

// New checks and builds the input. It reads the node's name and address from the
// environment where the configuration does not have them, and opens no
// connection.
func New(cfgs []Config, settings inputs.Settings, log *slog.Logger, reg prometheus.Registerer) (*Input, error) {
	made, err := scrape.NewInstances(Name, instance, log, reg)
	if err != nil {
		return nil, err
	}
	return &Input{made}, made.Update(cfgs, settings)
}

// instance makes the targets of one [[instances]] table.
func instance(cfg Config, settings inputs.Settings, kubelets *scrape.Clients[*k8s.Kubelet]) ([]scrape.Target, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	node := k8s.ThisNode(cfg.NodeName, os.LookupEnv)
	if node.Name == "" {
		node.Name = settings.Hostname
	}
	labels, _ := cfg.compile()
	labels.Global, labels.Hostname = settings.Labels, settings.Hostname
	interval, timeout := cfg.timing(settings)
	fingerprint, err := fingerprintOf(cfg, node, settings)
	if err != nil {
		return nil, err
	}
	kubelet, err := kubelets.Of(fingerprint, func() (*k8s.Kubelet, error) { return k8s.NewKubelet(cfg.KubeletConfig, node) })
	if err != nil {
		return nil, err
	}
	targets := make([]scrape.Target, 0, len(cfg.Pages))
	for _, name := range cfg.Pages {
		p, _ := pageOf(name) // valid, as cfg is
		if labels.Target, err = targetLabels(kubelet, node, p); err != nil {
			return nil, err
		}
		target := cfg.target(p, labels, settings)
		target.Key = labels.Key(kubelet.URL(p.path))
		target.Settings = fingerprint + p.name
		target.URL, target.Client = kubelet.URL(p.path), kubelet.Client()
		target.Interval, target.Timeout = interval, timeout
		targets = append(targets, target)
	}
	return targets, nil
}

// target is a page as scrape wants it, but for where and when.
func (c Config) target(p page, labels scrape.LabelConfig, settings inputs.Settings) scrape.Target {
	honorTime := p.honorTime
	if c.HonorTime != nil {
		honorTime = *c.HonorTime
	}
	target := scrape.Target{
		Labels: labels.Shown(),
		Page: scrape.PageConfig{
			Labels:                   scrape.NewLabeler(labels),
			HonorTimestamps:          honorTime,
			TrackTimestampsStaleness: true, // a container that is gone ends, whoever gave the time
			PrecisionMs:              settings.Precision.Milliseconds(),
			MaxColumns:               settings.MaxColumns,
			SampleLimit:              p.sampleLimit,
		},
		BodySizeLimit: int64(p.bodyLimit),
		ScrapeMeta:    c.ScrapeMeta,
		ExtraMeta:     c.ExtraMeta,
		UserAgent:     settings.UserAgent,
		SameNode:      true, // gzip would cost both sides more than it saves
		Explain:       func(err error) error { return explain(err, p.path) },
	}
	if c.SampleLimit > 0 {
		target.Page.SampleLimit = c.SampleLimit
	}
	if c.BodySizeLimit > 0 {
		target.BodySizeLimit = int64(c.BodySizeLimit)
	}
	return target
}

// explain says what to change when the kubelet refuses a page.
func explain(err error, page string) error {
	if status, ok := errors.AsType[*scrape.StatusError](err); ok {
		if advice := k8s.Advice(status.Code, page); advice != "" {
			return fmt.Errorf("%w: %s", err, advice)
		}
		return err
	}
	return k8s.Explain(err)
}

// targetLabels are those that dashboards made for Prometheus look for. A
// loopback address is the same on every node, so instance has the node's name
// in its place.
func targetLabels(kubelet *k8s.Kubelet, node k8s.Node, p page) ([]kinglet.Label, error) {
	u, err := url.Parse(kubelet.URL(p.path))
	if err != nil {
		return nil, fmt.Errorf("kubelet_url: %w", err)
	}
	instance := u.Host
	if addr, err := netip.ParseAddr(u.Hostname()); node.Name != "" && (u.Hostname() == "localhost" || err == nil && addr.IsLoopback()) {
		instance = node.Name
		if port := u.Port(); port != "" {
			instance = net.JoinHostPort(node.Name, port)
		}
	}
	return []kinglet.Label{
		{Name: "instance", Value: instance},
		{Name: "job", Value: "kubelet"},
		{Name: "metrics_path", Value: p.path},
		{Name: "node", Value: node.Name},
	}, nil
}

// timing is the interval and the timeout of an instance. Both are cut to what
// they can be: a day, and the interval.
func (c Config) timing(settings inputs.Settings) (interval, timeout time.Duration) {
	interval = c.Interval.Duration
	if interval <= 0 {
		interval = settings.Interval
	}
	if interval <= 0 {
		interval = 15 * time.Second // as input.prometheus
	}
	times := max(c.IntervalTimes, 1)
	if times > int(inputs.MaxInterval/interval) { // before it overflows
		interval, times = inputs.MaxInterval, 1
	}
	interval *= time.Duration(times)
	return interval, min(c.Timeout.Duration, interval)
}

// fingerprintOf is equal for equal settings. The pages are not part of it: one
// more of them leaves the others alone.
func fingerprintOf(cfg Config, node k8s.Node, settings inputs.Settings) (string, error) {
	cfg.Pages = nil
	text, err := json.Marshal(struct {
		Config   Config
		Node     k8s.Node
		Settings inputs.Settings
	}{cfg, node, settings})
	if err != nil {
		return "", fmt.Errorf("compare the settings: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}
