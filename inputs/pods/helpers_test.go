package pods

import (
	"maps"
	"testing"

	"github.com/BurntSushi/toml"

	"kinglet/conf/httpclient"
	"kinglet/conf/relabel"
	"kinglet/inputs"
	"kinglet/k8s"
)

// running is a pod of namespace shop on node1 with the address 10.0.0.1, which
// asks to be scraped.
func running(name string, edits ...func(*k8s.Pod)) *k8s.Pod {
	p := &k8s.Pod{
		Namespace: "shop", Name: name, UID: "uid-" + name, Node: "node1", Labels: map[string]string{"app": name},
		Annotations: map[string]string{"prometheus.io/scrape": "true"}, Phase: k8s.PodRunning, Ready: "true",
		IP: "10.0.0.1", HostIP: "10.0.0.7", FromAPI: true, Containers: []k8s.Container{container("c", 8080)},
	}
	for _, edit := range edits {
		edit(p)
	}
	return p
}

func container(name string, ports ...int) k8s.Container {
	c := k8s.Container{Name: name, Image: name + ":1", ID: "containerd://" + name, State: k8s.Running}
	for _, port := range ports {
		c.Ports = append(c.Ports, k8s.Port{Number: port, Protocol: "TCP"})
	}
	return c
}

func containers(all ...k8s.Container) func(*k8s.Pod) { return func(p *k8s.Pod) { p.Containers = all } }

func at(ip string) func(*k8s.Pod) { return func(p *k8s.Pod) { p.IP = ip } }

// annotate adds annotations, with the prefix.
func annotate(values map[string]string) func(*k8s.Pod) {
	return func(p *k8s.Pod) {
		p.Annotations = maps.Clone(p.Annotations)
		for name, value := range values {
			p.Annotations["prometheus.io/"+name] = value
		}
	}
}

func mustInstance(t testing.TB, cfg Config) *instance {
	t.Helper()
	i, err := newInstance(cfg, 1, "node1", inputs.Settings{}, httpclient.New)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// verdicts is what an instance says of pods.
func verdicts(t testing.TB, edit func(*Config), pods ...*k8s.Pod) []Verdict {
	t.Helper()
	cfg := DefaultConfig()
	if edit != nil {
		edit(&cfg)
	}
	_, judged := mustInstance(t, cfg).plan(pods)
	return judged
}

// rules reads [[r]] tables.
func rules(t testing.TB, text string) []relabel.Rule {
	t.Helper()
	var tables struct{ R []relabel.Rule }
	if _, err := toml.Decode(text, &tables); err != nil {
		t.Fatal(err)
	}
	return tables.R
}

// carriedOver is an instance with the rules for pods that Prometheus shows as
// an example, and that most clusters have.
func carriedOver() Config {
	cfg := DefaultConfig()
	cfg.RequireAnnotation = false
	if _, err := toml.Decode(`
		[[relabel_configs]]
		source_labels = ["__meta_kubernetes_pod_annotation_prometheus_io_scrape"]
		action = "keep"
		regex = "true"
		[[relabel_configs]]
		source_labels = ["__meta_kubernetes_pod_annotation_prometheus_io_scheme"]
		action = "replace"
		regex = "(https?)"
		target_label = "__scheme__"
		[[relabel_configs]]
		source_labels = ["__meta_kubernetes_pod_annotation_prometheus_io_path"]
		action = "replace"
		target_label = "__metrics_path__"
		regex = "(.+)"
		[[relabel_configs]]
		source_labels = ["__address__", "__meta_kubernetes_pod_annotation_prometheus_io_port"]
		action = "replace"
		regex = "([^:]+)(?::\\d+)?;(\\d+)"
		replacement = "$1:$2"
		target_label = "__address__"
		[[relabel_configs]]
		action = "labelmap"
		regex = "__meta_kubernetes_pod_label_(.+)"
		[[relabel_configs]]
		source_labels = ["__meta_kubernetes_namespace"]
		target_label = "kubernetes_namespace"
		[[relabel_configs]]
		source_labels = ["__meta_kubernetes_pod_name"]
		target_label = "kubernetes_pod_name"`, &cfg); err != nil {
		panic(err)
	}
	return cfg
}
