package pods

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"kinglet/conf/httpclient"
	"kinglet/inputs"
	"kinglet/inputs/scrape"
)

// instance is one [[instances]] table at work. It is immutable.
type instance struct {
	compiled
	cfg         Config
	number      int // counted from 1
	node        string
	times       times
	written     map[string]bool // hosts that rules write out
	settings    inputs.Settings
	fingerprint string // of what makes a scrape, but for the target
	client      *httpclient.Client
}

// newInstance checks and builds. The client is taken of clients if its settings
// are there.
func newInstance(cfg Config, number int, node string, settings inputs.Settings, clients func(httpclient.Config) (*httpclient.Client, error)) (*instance, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	made, _ := cfg.compile()
	i := &instance{compiled: made, cfg: cfg, number: number, node: node, settings: settings, written: writtenHosts(cfg.RelabelConfigs)}
	i.times.interval, i.times.timeout = cfg.timing(settings)
	var err error
	if i.fingerprint, err = fingerprintOf(cfg, settings); err != nil {
		return nil, err
	}
	i.client, err = clients(cfg.client())
	return i, err
}

// keepsAnnotation reports whether the instance uses an annotation of that name.
func (i *instance) keepsAnnotation(name string) bool {
	return i.rules.Len() > 0 || strings.HasPrefix(name, i.cfg.AnnotationPrefix+"/")
}

// target is what scrape is to do about a place.
func (i *instance) target(p *place) scrape.Target {
	labels := sortedLabels(p.labels)
	t := i.cfg.target(i.compiled, labels, i.settings)
	t.URL, t.Labels, t.Client = p.url(), p.labels, i.client
	t.Interval, t.Timeout = p.times.interval, p.times.timeout
	t.Key = scrape.LabelConfig{Target: labels, Hostname: i.settings.Hostname}.Key(t.URL)
	t.Settings = fmt.Sprint(i.fingerprint, " ", t.Interval, " ", t.Timeout)
	return t
}

// fingerprintOf is equal for equal settings of scrapes: those that only choose
// pods are left out, as the target says what came of them.
func fingerprintOf(cfg Config, settings inputs.Settings) (string, error) {
	cfg.SourceConfig = SourceConfig{}
	cfg.RequireAnnotation, cfg.AnnotationPrefix, cfg.Namespaces, cfg.LabelSelector, cfg.PortNames = false, "", nil, "", nil
	cfg.Job, cfg.PodLabels, cfg.Labels, cfg.RelabelConfigs, cfg.TargetLimit = "", nil, nil, nil, 0
	text, err := json.Marshal(struct {
		Config   Config
		Settings inputs.Settings
	}{cfg, settings})
	if err != nil {
		return "", fmt.Errorf("compare the settings: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}
