package pods

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"k8s.io/apimachinery/pkg/labels"

	"kinglet/k8s"
)

// verdictOf begins a verdict on a place, or on a pod if number is 0.
func (i *instance) verdictOf(pod *k8s.Pod, container *k8s.Container, number int, r *refusal) Verdict {
	v := Verdict{
		Instance: i.number, Namespace: pod.Namespace, Pod: pod.Name, Port: number, Phase: pod.Phase, IP: pod.IP,
		Scraped: r == nil, Code: Scraped, Reason: "scraped",
	}
	if container != nil {
		v.Container = container.Name
	}
	if r != nil {
		v.Code, v.Reason = r.code, r.reason
	}
	return v
}

// plan says of every pod what is scraped of it, and of everything else why it
// is not. Places and verdicts of them have the same order; verdicts come sorted.
func (i *instance) plan(pods []*k8s.Pod) (places []*place, verdicts []Verdict) {
	skip := func(pod *k8s.Pod, c *k8s.Container, number int, r *refusal) {
		verdicts = append(verdicts, i.verdictOf(pod, c, number, r))
	}
	for _, pod := range pods {
		w, refused := i.selects(pod)
		if refused != nil {
			skip(pod, nil, 0, refused)
			continue
		}
		found := len(places) + len(verdicts)
		for _, c := range i.candidates(pod, w) {
			p := c.place
			if c.refused == nil {
				c.refused = i.relabel(p)
			}
			if c.refused != nil {
				skip(pod, p.container, p.number, c.refused)
				continue
			}
			i.nameInstance(p)
			places = append(places, p)
		}
		if len(places)+len(verdicts) == found {
			skip(pod, nil, 0, i.noPort())
		}
	}
	places = i.withinLimit(i.withoutDuplicates(places, skip), skip)
	for _, p := range places {
		v := i.verdictOf(p.pod, p.container, p.number, nil)
		v.URL, v.Labels = p.url(), p.labels
		verdicts = append(verdicts, v)
	}
	slices.SortStableFunc(verdicts, compareVerdicts)
	return places, verdicts
}

// nameInstance gives a place the label instance, unless it has one or is to
// have none.
func (i *instance) nameInstance(p *place) {
	if p.labels[model.InstanceLabel] == "" && i.cfg.Labels[model.InstanceLabel] != "-" {
		p.labels[model.InstanceLabel] = p.address
	}
}

func compareVerdicts(a, b Verdict) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Pod, b.Pod), cmp.Compare(a.Instance, b.Instance),
		cmp.Compare(a.Container, b.Container), cmp.Compare(a.Port, b.Port))
}

// selects says what a pod wishes, or why it is not for this instance.
func (i *instance) selects(pod *k8s.Pod) (wish, *refusal) {
	if i.namespaces != nil && !i.namespaces.Match(pod.Namespace) {
		return wish{}, refuse(Namespace, "namespace %s is not among namespaces = %q", pod.Namespace, i.cfg.Namespaces)
	}
	if !i.selector.Matches(labels.Set(pod.Labels)) {
		return wish{}, refuse(Selector, "its labels do not match label_selector = %q", i.cfg.LabelSelector)
	}
	w, err := annotated(pod, i.cfg.AnnotationPrefix)
	name := i.cfg.AnnotationPrefix + "/scrape"
	switch yes := strings.EqualFold(w.scrape, "true"); {
	case yes:
	case strings.EqualFold(w.scrape, "false"):
		return w, refuse(Declined, "annotation %s = %q: want \"true\"", name, w.scrape)
	case w.scrape != "":
		return w, refuse(BadAnnotation, "annotation %s = %q: want \"true\" or \"false\"", name, shortened(w.scrape))
	case i.cfg.RequireAnnotation:
		return w, refuse(NoAnnotation, "it has no annotation %s: want it to be \"true\", or require_annotation = false", name)
	}
	if err != nil {
		return w, refuse(BadAnnotation, "%s", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	switch pod.Phase {
	case k8s.PodSucceeded, k8s.PodFailed:
		return w, refuse(Phase, "it has finished (phase %s)", pod.Phase)
	}
	if pod.IP == "" {
		return w, refuse(NoAddress, "it has no address yet (phase %s)", cmp.Or(pod.Phase, "unknown"))
	}
	if ip, err := netip.ParseAddr(pod.IP); err != nil || ip.Zone() != "" || ip.IsUnspecified() || ip.IsMulticast() || ip.IsLinkLocalUnicast() {
		return w, refuse(NoAddress, "its address %q is none that a pod can have", shortened(pod.IP))
	}
	return w, nil
}

// candidate is a place, and why it is not to be scraped.
type candidate struct {
	place   *place
	refused *refusal
}

// candidates are the ports of a pod: those of its annotation, else those that
// its containers declare. Where there are rules, which may add a port, they are
// also the containers that declare none, as in Prometheus.
func (i *instance) candidates(pod *k8s.Pod, w wish) (all []candidate) {
	if w.ports != nil {
		for _, number := range w.ports {
			c, port := whose(pod, number)
			all = append(all, candidate{i.place(pod, c, port, number, w), i.running(pod, c)})
		}
		return all
	}
	seen := map[int]bool{}
	for n := range pod.Containers {
		c := &pod.Containers[n]
		for m := range c.Ports {
			port := &c.Ports[m]
			if port.Protocol == "TCP" && seen[port.Number] && i.rules.Len() == 0 {
				continue // declared twice, or in two containers that share the pod's address
			}
			refused := i.declared(pod, c, port)
			all = append(all, candidate{i.place(pod, c, port, port.Number, w), refused})
			seen[port.Number] = seen[port.Number] || refused == nil // else it may be wanted by its other name, or in its other container
		}
		if len(c.Ports) == 0 && i.rules.Len() > 0 && (!c.Init || c.Sidecar) {
			all = append(all, candidate{i.place(pod, c, nil, 0, w), i.running(pod, c)})
		}
	}
	return all
}

// noPort is why a pod without candidates is not scraped.
func (i *instance) noPort() *refusal {
	return refuse(NoPort, "its containers declare no port: want one, or the annotation %s/port", i.cfg.AnnotationPrefix)
}

// declared says why a declared port is not scraped, or nil.
func (i *instance) declared(pod *k8s.Pod, c *k8s.Container, port *k8s.Port) *refusal {
	switch {
	case port.Protocol != "TCP":
		return refuse(Protocol, "port %d is declared for %s: pages come over TCP", port.Number, port.Protocol)
	case port.Number < 1 || port.Number > 65535:
		return refuse(NoPort, "port %d is none", port.Number)
	case i.portNames != nil && !i.portNames.Match(port.Name):
		return refuse(PortName, "port %d is named %q, which is not among port_names = %q: want such a name, or the annotation %s/port",
			port.Number, port.Name, i.cfg.PortNames, i.cfg.AnnotationPrefix)
	}
	return i.running(pod, c)
}

// running says why nothing can answer at a port of a container, or nil. A
// container that is to be started again is scraped, and is down meanwhile, for
// that is what one wants to see. Nil stands for a container that is not known.
func (i *instance) running(pod *k8s.Pod, c *k8s.Container) *refusal {
	switch {
	case c != nil && c.Init && !c.Sidecar:
		return refuse(InitContainer, "%s is an init container, which ends before the pod begins: only those with restartPolicy Always are scraped", c.Name)
	case c != nil && c.Sidecar && pod.Phase == k8s.PodPending:
		if c.State != k8s.Running {
			return refuse(Phase, "its container %s does not run yet", c.Name)
		}
	case pod.Phase == k8s.PodPending || pod.Phase == "":
		return refuse(Phase, "it does not run yet (phase %s)", cmp.Or(pod.Phase, "unknown"))
	case !pod.Deleting:
	case c != nil && c.State == k8s.Terminated, c == nil && !anyRuns(pod):
		return refuse(Phase, "it is being terminated, and its container has ended")
	}
	return nil
}

func anyRuns(pod *k8s.Pod) bool {
	return slices.ContainsFunc(pod.Containers, func(c k8s.Container) bool { return c.State == k8s.Running })
}

// whose finds the container that declares a port. A port that none declares is
// the only container's, if there is only one.
func whose(pod *k8s.Pod, number int) (*k8s.Container, *k8s.Port) {
	var only *k8s.Container
	lasting := 0
	for n := range pod.Containers {
		c := &pod.Containers[n]
		if c.Init && !c.Sidecar {
			continue
		}
		only, lasting = c, lasting+1
		for m := range c.Ports {
			if port := &c.Ports[m]; port.Number == number && port.Protocol == "TCP" {
				return c, port
			}
		}
	}
	if lasting != 1 {
		return nil, nil
	}
	return only, nil
}

// place is where a port of a pod would be scraped, before rules.
func (i *instance) place(pod *k8s.Pod, c *k8s.Container, port *k8s.Port, number int, w wish) *place {
	p := &place{
		pod: pod, container: c, port: port, number: number,
		address: pod.IP, scheme: w.scheme, path: w.path, query: w.query,
		labels: i.ownLabels(pod, c), times: i.times,
	}
	if number > 0 {
		p.address = net.JoinHostPort(pod.IP, fmt.Sprint(number))
	}
	return p
}

// url is the address of the page.
func (p *place) url() string {
	u := url.URL{Scheme: p.scheme, Host: p.address, RawQuery: p.query}
	u.Path, u.RawPath = p.path, p.path
	if path, err := url.PathUnescape(p.path); err == nil {
		u.Path = path
	}
	return u.String()
}

// withoutDuplicates leaves one place for each URL: that of a pod which runs and
// is not being terminated, that whose container declares the port, then the
// first by name.
func (i *instance) withoutDuplicates(places []*place, skip func(*k8s.Pod, *k8s.Container, int, *refusal)) []*place {
	rank := func(p *place) int {
		n := 0
		if p.pod.Deleting {
			n += 4
		}
		if p.pod.Phase != k8s.PodRunning {
			n += 2
		}
		if p.port == nil {
			n++
		}
		return n
	}
	slices.SortStableFunc(places, func(a, b *place) int { return cmp.Compare(rank(a), rank(b)) }) // pods come sorted
	first := map[string]*place{}
	kept := places[:0]
	for _, p := range places {
		u := p.url()
		if other, taken := first[u]; taken {
			skip(p.pod, p.container, p.number, refuse(Duplicate, "%s is scraped for pod %s already", u, other.pod.Key()))
			continue
		}
		first[u] = p
		kept = append(kept, p)
	}
	slices.SortStableFunc(kept, func(a, b *place) int {
		return cmp.Or(cmp.Compare(a.pod.Namespace, b.pod.Namespace), cmp.Compare(a.pod.Name, b.pod.Name))
	})
	return kept
}

// withinLimit leaves the first target_limit places by name.
func (i *instance) withinLimit(places []*place, skip func(*k8s.Pod, *k8s.Container, int, *refusal)) []*place {
	limit := i.cfg.TargetLimit
	if limit == 0 || len(places) <= limit {
		return places
	}
	for _, p := range places[limit:] {
		skip(p.pod, p.container, p.number, refuse(Limit, "target_limit = %d, and the pods of this node have %d targets", limit, len(places)))
	}
	return places[:limit]
}
