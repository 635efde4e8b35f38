package pods

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"kinglet/conf/relabel"
	"kinglet/inputs"
	"kinglet/inputs/scrape"
)

// times is when and for how long a target is scraped.
type times struct{ interval, timeout time.Duration }

// refusal says why a pod or a port is not scraped.
type refusal struct {
	code   Code
	reason string
}

func refuse(code Code, format string, args ...any) *refusal {
	return &refusal{code, fmt.Sprintf(format, args...)}
}

// relabel runs relabel_configs over a place. What it leaves is the target's.
func (i *instance) relabel(p *place) *refusal {
	if i.rules.Len() == 0 {
		return nil
	}
	before := p.describe()
	left, droppedBy := i.rules.Explain(sortedLabels(before))
	if droppedBy >= 0 {
		return refuse(Relabel, "rule %d of relabel_configs drops it: %s", droppedBy+1, i.rules.Text(droppedBy))
	}
	after := make(map[string]string, len(left))
	p.labels = map[string]string{}
	for _, l := range left {
		after[l.Name] = l.Value
		if !strings.HasPrefix(l.Name, "__") {
			p.labels[l.Name] = l.Value
		}
	}
	if refused := i.address(p, after[model.AddressLabel]); refused != nil {
		return refused
	}
	if p.scheme = after[model.SchemeLabel]; p.scheme != "http" && p.scheme != "https" {
		return refuse(Relabel, "relabel_configs leave __scheme__ = %q: want http or https", shortened(p.scheme))
	}
	if err := p.page(before, after); err != nil {
		return refuse(Relabel, "relabel_configs leave __metrics_path__ = %q: want %v", shortened(after[model.MetricsPathLabel]), err)
	}
	if err := p.times.relabelled(before, after); err != nil {
		return refuse(Relabel, "relabel_configs: %v", err)
	}
	return nil
}

// describe is what the rules see.
func (p *place) describe() map[string]string {
	all := p.metaLabels()
	for name, value := range p.labels {
		all[name] = value
	}
	all[model.AddressLabel], all[model.SchemeLabel], all[model.MetricsPathLabel] = p.address, p.scheme, p.path
	all[model.ScrapeIntervalLabel] = model.Duration(p.times.interval).String()
	all[model.ScrapeTimeoutLabel] = model.Duration(p.times.timeout).String()
	if query, err := url.ParseQuery(p.query); err == nil {
		for name, values := range query {
			all[model.ParamLabelPrefix+name] = values[0]
		}
	}
	return all
}

// address takes the address that rules left. Its host is the pod's own, or one
// that a rule writes out: rules that copy text of a pod into __address__ must
// not let the pod choose who is asked.
func (i *instance) address(p *place, text string) *refusal {
	if text == p.address && p.number > 0 {
		return nil
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		if _, bare := netip.ParseAddr(strings.Trim(text, "[]")); bare == nil || text != "" && !strings.Contains(text, ":") {
			return refuse(NoPort, "relabel_configs leave __address__ = %q without a port: want a rule that adds one, or a declared container port", shortened(text))
		}
		return refuse(Relabel, "relabel_configs leave __address__ = %q: want HOST:PORT", shortened(text))
	}
	if _, ok := parsePort(port); !ok {
		return refuse(Relabel, "relabel_configs leave __address__ = %q: want a port from 1 to 65535", shortened(text))
	}
	if !sameAddress(host, p.pod.IP) && !i.written[host] {
		return refuse(Relabel, "relabel_configs leave __address__ = %q, whose host is neither the pod's nor written out in a rule: "+
			"want the pod's address %s", shortened(text), p.pod.IP)
	}
	p.address = net.JoinHostPort(host, port)
	return nil
}

// sameAddress reports whether two texts are one IP address.
func sameAddress(a, b string) bool {
	x, err := netip.ParseAddr(a)
	if err != nil {
		return false
	}
	y, err := netip.ParseAddr(b)
	return err == nil && x == y
}

// writtenHosts are the hosts that rules write into __address__ without taking
// anything of the pod.
func writtenHosts(rules []relabel.Rule) map[string]bool {
	hosts := map[string]bool{}
	for _, r := range rules {
		if r.TargetLabel != model.AddressLabel || r.Replacement == nil {
			continue
		}
		host, _, err := net.SplitHostPort(*r.Replacement)
		if err == nil && host != "" && !strings.ContainsAny(host, "$/?#@ \\") {
			hosts[host] = true
		}
	}
	return hosts
}

// page takes the path and the parameters that rules left. What they did not
// change stays byte for byte.
func (p *place) page(before, after map[string]string) error {
	if text := after[model.MetricsPathLabel]; text != before[model.MetricsPathLabel] {
		path, query, err := splitPath("/" + strings.TrimPrefix(text, "/"))
		if err != nil {
			return err
		}
		p.path = path
		if query != "" {
			p.query = query
		}
	}
	query, err := url.ParseQuery(p.query)
	if err != nil {
		return nil //nolint:nilerr // a query that is none has no parameters for rules to see, and is sent as it is
	}
	if scrape.Params(query, before, after) {
		p.query = query.Encode()
	}
	return nil
}

// relabelled takes the interval and the timeout that rules set. A timeout above
// the interval is cut to it.
func (t *times) relabelled(before, after map[string]string) error {
	for _, set := range []struct {
		label string
		to    *time.Duration
	}{{model.ScrapeIntervalLabel, &t.interval}, {model.ScrapeTimeoutLabel, &t.timeout}} {
		if before[set.label] == after[set.label] {
			continue
		}
		d, err := model.ParseDuration(after[set.label])
		if err != nil || d <= 0 {
			return fmt.Errorf("%s = %q: want a duration such as 15s or 500ms", set.label, shortened(after[set.label]))
		}
		*set.to = time.Duration(d)
	}
	t.timeout = min(t.timeout, t.interval)
	return inputs.CheckInterval(t.interval)
}
