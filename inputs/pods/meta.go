package pods

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/common/model"

	"kinglet"
	"kinglet/k8s"
)

// metaPrefix begins the labels that rules see and no series gets.
const metaPrefix = "__meta_kubernetes_"

// place is one port of a pod, on its way to be a target.
type place struct {
	pod       *k8s.Pod
	container *k8s.Container // nil if nothing says whose port it is
	port      *k8s.Port      // as declared; nil if it is not
	number    int            // 0 only where rules have to say

	// What the target is; rules may change it.
	address     string // host:port, the host with [] around IPv6
	scheme      string
	path, query string
	labels      map[string]string // final, but for instance
	times       times
}

// metaLabels are those that Prometheus' documentation lists for pods.
func (p *place) metaLabels() map[string]string {
	pod := p.pod
	all := map[string]string{
		metaPrefix + "namespace":     pod.Namespace,
		metaPrefix + "pod_name":      pod.Name,
		metaPrefix + "pod_ip":        pod.IP,
		metaPrefix + "pod_ready":     pod.Ready,
		metaPrefix + "pod_phase":     pod.Phase,
		metaPrefix + "pod_node_name": pod.Node,
		metaPrefix + "pod_host_ip":   pod.HostIP,
		metaPrefix + "pod_uid":       pod.UID,
	}
	describe := func(kind string, values map[string]string) {
		for _, name := range slices.Sorted(maps.Keys(values)) {
			safe := sanitized(name)
			all[metaPrefix+"pod_"+kind+"_"+safe] = values[name]
			all[metaPrefix+"pod_"+kind+"present_"+safe] = "true"
		}
	}
	describe("label", pod.Labels)
	describe("annotation", pod.Annotations)
	if pod.Controller != (k8s.Controller{}) {
		all[metaPrefix+"pod_controller_kind"] = pod.Controller.Kind
		all[metaPrefix+"pod_controller_name"] = pod.Controller.Name
	}
	if c := p.container; c != nil {
		all[metaPrefix+"pod_container_name"] = c.Name
		all[metaPrefix+"pod_container_id"] = c.ID
		all[metaPrefix+"pod_container_image"] = c.Image
		all[metaPrefix+"pod_container_init"] = strconv.FormatBool(c.Init)
	}
	if port := p.port; port != nil {
		all[metaPrefix+"pod_container_port_name"] = port.Name
		all[metaPrefix+"pod_container_port_number"] = strconv.Itoa(port.Number)
		all[metaPrefix+"pod_container_port_protocol"] = port.Protocol
	}
	return all
}

// ownLabels are those that the configuration gives the series of a place.
func (i *instance) ownLabels(pod *k8s.Pod, container *k8s.Container) map[string]string {
	own := map[string]string{}
	for _, name := range slices.Backward(slices.Sorted(maps.Keys(pod.Labels))) {
		safe := sanitized(name)
		if i.podLabels.Match(name) || i.podLabels.Match(safe) {
			own[safe] = pod.Labels[name] // the first by name wins where two become one
		}
	}
	for name, value := range map[string]string{
		"namespace": pod.Namespace, "pod": pod.Name, "node": cmp.Or(pod.Node, i.node), model.JobLabel: i.cfg.Job,
	} {
		own[name] = value
	}
	delete(own, "container")
	if container != nil {
		own["container"] = container.Name
	}
	for name, value := range i.cfg.Labels {
		own[name] = value
		if value == "-" {
			delete(own, name)
		}
	}
	for name, value := range own {
		if value == "" || strings.HasPrefix(name, "__") {
			delete(own, name)
		}
	}
	return own
}

// sanitized is a name with _ for what no label name can have, as Prometheus
// does it.
func sanitized(name string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, name)
}

// sortedLabels are values as labels, by name.
func sortedLabels(values map[string]string) []kinglet.Label {
	labels := make([]kinglet.Label, 0, len(values))
	for _, name := range slices.Sorted(maps.Keys(values)) {
		labels = append(labels, kinglet.Label{Name: name, Value: values[name]})
	}
	return labels
}
