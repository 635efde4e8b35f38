package prometheus

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"kinglet/inputs"
	"kinglet/inputs/scrape"
)

// place is where and when a target is scraped, and the labels it gives.
type place struct {
	url               *url.URL
	labels            scrape.LabelConfig
	interval, timeout time.Duration
}

// relabel runs target_relabel_configs over what a target is: its address, its
// times, and the labels of its URL and its instance (RW-140). Keep is false if
// the rules drop it; a fault says why it cannot be scraped as they left it.
func (m *compiled) relabel(p place) (result place, keep bool, fault error) {
	if m.target.Len() == 0 {
		return p, true, nil
	}
	before := p.describe()
	left, keep := m.target.Process(sortedLabels(before))
	if !keep {
		return p, false, nil
	}
	after := make(map[string]string, len(left))
	for _, l := range left {
		after[l.Name] = l.Value
	}
	result = p
	result.labels = p.relabelled(after)
	if result.url, fault = p.address(before, after); fault == nil {
		fault = result.times(before, after)
	}
	return result, true, fault
}

// describe is what the rules see.
func (p *place) describe() map[string]string {
	all := map[string]string{
		model.AddressLabel:        p.url.Host,
		model.SchemeLabel:         p.url.Scheme,
		model.MetricsPathLabel:    p.url.Path,
		model.ScrapeIntervalLabel: model.Duration(p.interval).String(),
		model.ScrapeTimeoutLabel:  model.Duration(p.timeout).String(),
	}
	for name, values := range p.url.Query() {
		all[model.ParamLabelPrefix+name] = values[0]
	}
	for _, l := range p.labels.Target {
		all[l.Name] = l.Value
	}
	for name, value := range p.labels.Instance {
		if all[name] = value; value == "-" {
			delete(all, name)
		}
	}
	return all
}

// relabelled puts the labels that the rules left where they came from; new ones
// are as those of the URL. Labels that begin with __ are gone.
func (p *place) relabelled(after map[string]string) scrape.LabelConfig {
	labels := p.labels
	target, instance := map[string]string{}, map[string]string{}
	for name, value := range p.labels.Instance {
		if _, set := after[name]; !set && (value == "-" || value == "") {
			instance[name] = value // which rules do not see
		}
	}
	for name, value := range after {
		if strings.HasPrefix(name, "__") {
			continue
		}
		if was, ok := p.labels.Instance[name]; ok && was != "-" {
			instance[name] = value
		} else {
			target[name] = value
		}
	}
	labels.Target, labels.Instance = sortedLabels(target), instance
	return labels
}

// address is the URL as the rules left it. What they did not change stays byte
// for byte.
func (p *place) address(before, after map[string]string) (*url.URL, error) {
	u := *p.url
	if u.Host = after[model.AddressLabel]; u.Host == "" {
		return p.url, errors.New("target_relabel_configs leave no __address__")
	}
	if u.Scheme = after[model.SchemeLabel]; u.Scheme != "http" && u.Scheme != "https" {
		return p.url, fmt.Errorf("target_relabel_configs: __scheme__ = %q: want http or https", u.Scheme)
	}
	if path := after[model.MetricsPathLabel]; path != before[model.MetricsPathLabel] {
		u.Path, u.RawPath = "/"+strings.TrimPrefix(path, "/"), ""
	}
	if query := u.Query(); scrape.Params(query, before, after) {
		u.RawQuery = query.Encode()
	}
	if _, err := url.Parse(u.String()); err != nil || strings.ContainsAny(u.Host, "/?#@ ") {
		return p.url, fmt.Errorf("target_relabel_configs: __address__ = %q: want HOST or HOST:PORT", after[model.AddressLabel])
	}
	return &u, nil
}

// times takes the interval and the timeout that the rules set. A timeout above
// the interval is cut to it.
func (p *place) times(before, after map[string]string) error {
	for _, t := range []struct {
		label string
		to    *time.Duration
	}{{model.ScrapeIntervalLabel, &p.interval}, {model.ScrapeTimeoutLabel, &p.timeout}} {
		if before[t.label] == after[t.label] {
			continue
		}
		d, err := model.ParseDuration(after[t.label])
		if err != nil || d <= 0 {
			return fmt.Errorf("target_relabel_configs: %s = %q: want a duration such as 15s or 500ms", t.label, after[t.label])
		}
		*t.to = time.Duration(d)
	}
	if err := inputs.CheckInterval(p.interval); err != nil {
		return fmt.Errorf("target_relabel_configs: %w", err)
	}
	p.timeout = min(p.timeout, p.interval)
	return nil
}
