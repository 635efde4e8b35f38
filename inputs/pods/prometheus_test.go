package pods

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"

	"kinglet/internal/tree"
	"kinglet/k8s"
)

// TestMetaLabelsAreThoseOfPrometheus compares with what the service discovery of
// Prometheus 3.14, role pod, made of the same pods; that lies in testdata.
func TestMetaLabelsAreThoseOfPrometheus(t *testing.T) {
	made, err := os.ReadFile("../../k8s/testdata/kubelet-pods-made.json")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"recorded": recorded(t, "kubelet-pods.json.gz"), "made": made} {
		t.Run(name, func(t *testing.T) {
			var want map[string]map[string]string
			golden, err := os.ReadFile("testdata/prometheus-" + name + ".json")
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(golden, &want); err != nil {
				t.Fatal(err)
			}
			// An init container without ports, which Prometheus would scrape.
			delete(want, "web-7d4b9-x2x2x setup  ")
			got := map[string]map[string]string{}
			i := mustInstance(t, carriedOver())
			for _, pod := range listed(t, text) {
				if pod.IP == "" {
					continue
				}
				for _, c := range i.candidates(pod, wish{}) {
					labels := c.place.metaLabels()
					labels[model.AddressLabel] = c.place.address
					maps.DeleteFunc(labels, func(_, value string) bool { return value == "" })
					got[targetName(labels)] = labels
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-Prometheus +kinglet):\n%s", diff)
			}
		})
	}
}

// targetName tells the targets of a list apart.
func targetName(labels map[string]string) string {
	return strings.Join([]string{
		labels["__meta_kubernetes_pod_name"], labels["__meta_kubernetes_pod_container_name"],
		labels["__meta_kubernetes_pod_container_port_number"], labels["__meta_kubernetes_pod_container_port_protocol"],
	}, " ")
}

// recorded is what a kubelet answered.
func recorded(t testing.TB, name string) []byte {
	t.Helper()
	return tree.Unzip(t, "../../k8s/testdata/"+name)
}

// listed is a kubelet's answer as kinglet reads it.
func listed(t testing.TB, text []byte) []*k8s.Pod {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(text) }))
	defer s.Close()
	kubelet, err := k8s.NewKubelet(k8s.KubeletConfig{URL: s.URL}, k8s.Node{Name: "node1"})
	if err != nil {
		t.Fatal(err)
	}
	defer kubelet.Close()
	pods, _, err := kubelet.NewPodLister(k8s.Fields{Annotation: func(string) bool { return true }}).Pods(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return pods
}

// TestPrometheusRulesCanBeCarriedOver: the rules of Prometheus' example make of
// pods what they make there.
func TestPrometheusRulesCanBeCarriedOver(t *testing.T) {
	cfg := carriedOver()
	pods := []*k8s.Pod{
		running("a", annotate(map[string]string{"port": "9090", "path": "/m?x=y", "scheme": "https"})),
		running("b", at("10.0.0.2")),
		running("c", at("10.0.0.3"), func(p *k8s.Pod) { p.Annotations = nil }),
		running("d", at("10.0.0.4"), containers(container("c"))),
		running("e", at("10.0.0.5"), containers(container("c")), annotate(map[string]string{"port": "7"})),
	}
	_, judged := mustInstance(t, cfg).plan(pods)
	want := `shop/a c:9090 https://10.0.0.1:9090/m?x=y
shop/b c:8080 http://10.0.0.2:8080/metrics
shop/c c:8080 relabel: rule 1 of relabel_configs drops it: action = "keep", source_labels = ["__meta_kubernetes_pod_annotation_prometheus_io_scrape"], regex = "true"
shop/d c:0 no_port: relabel_configs leave __address__ = "10.0.0.4" without a port: want a rule that adds one, or a declared container port
shop/e c:7 http://10.0.0.5:7/metrics
`
	if diff := cmp.Diff(want, lines(judged)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	wantLabels := map[string]string{
		"app": "a", "kubernetes_namespace": "shop", "kubernetes_pod_name": "a", "namespace": "shop", "pod": "a", "container": "c",
		"node": "node1", "job": "kubernetes-pods", "instance": "10.0.0.1:9090",
	}
	if diff := cmp.Diff(wantLabels, judged[0].Labels); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRulesSetWhereAndWhen(t *testing.T) {
	rule := func(target, replacement string) string {
		return fmt.Sprintf("[[r]]\ntarget_label = %q\nreplacement = %q\n", target, replacement)
	}
	const copied = "[[r]]\nsource_labels = [\"__meta_kubernetes_pod_annotation_x\"]\ntarget_label = \"__address__\"\n"
	for _, tt := range []struct{ name, rules, x, want string }{
		{"a port", rule("__address__", "10.0.0.1:9"), "", "http://10.0.0.1:9/metrics 15s 10s"},
		{"a path", rule("__metrics_path__", "m"), "", "http://10.0.0.1:8080/m 15s 10s"},
		{"a path with a query", rule("__metrics_path__", "/m?a=b"), "", "http://10.0.0.1:8080/m?a=b 15s 10s"},
		{"a parameter", rule("__param_module", "x y"), "", "http://10.0.0.1:8080/metrics?module=x+y 15s 10s"},
		{"https", rule("__scheme__", "https"), "", "https://10.0.0.1:8080/metrics 15s 10s"},
		{"times", rule("__scrape_interval__", "1m") + rule("__scrape_timeout__", "2m"), "", "http://10.0.0.1:8080/metrics 1m0s 1m0s"},
		{"a host that is written out", rule("__address__", "probe.example:9115") + rule("__param_target", "x"), "", "http://probe.example:9115/metrics?target=x 15s 10s"},
		{"the pod's own address, by the pod", copied, "10.0.0.1:81", "http://10.0.0.1:81/metrics 15s 10s"},

		{"another host, by the pod", copied, "evil.example:80", `relabel: relabel_configs leave __address__ = "evil.example:80", whose host is neither the pod's nor written out in a rule: want the pod's address 10.0.0.1`},
		{"user and host, by the pod", copied, "10.0.0.1:80@evil.example:80", `relabel: relabel_configs leave __address__ = "10.0.0.1:80@evil.example:80": want HOST:PORT`},
		{"a path in the address", copied, "10.0.0.1:80/x", `relabel: relabel_configs leave __address__ = "10.0.0.1:80/x": want a port from 1 to 65535`},
		{"port 0", copied, "10.0.0.1:0", `relabel: relabel_configs leave __address__ = "10.0.0.1:0": want a port from 1 to 65535`},
		{"no port", copied, "10.0.0.1", `no_port: relabel_configs leave __address__ = "10.0.0.1" without a port: want a rule that adds one, or a declared container port`},
		{"no address", copied, "", `relabel: relabel_configs leave __address__ = "": want HOST:PORT`},
		{"another scheme", rule("__scheme__", "file"), "", `relabel: relabel_configs leave __scheme__ = "file": want http or https`},
		{"a path that is none", rule("__metrics_path__", "//x"), "", `relabel: relabel_configs leave __metrics_path__ = "//x": want a path such as /metrics or /probe?module=x, with one / in front`},
		{"a bad interval", rule("__scrape_interval__", "often"), "", `relabel: relabel_configs: __scrape_interval__ = "often": want a duration such as 15s or 500ms`},
		{"a short interval", rule("__scrape_interval__", "1ms"), "", `relabel: relabel_configs: interval = 1ms: want 100ms to 24h`},
		{"dropped", rule("job", "x") + "[[r]]\naction = \"drop\"\nsource_labels = [\"job\"]\nregex = \"x\"\n", "",
			`relabel: rule 2 of relabel_configs drops it: action = "drop", source_labels = ["job"], regex = "x"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := DefaultConfig()
			cfg.RelabelConfigs = rules(t, tt.rules)
			i := mustInstance(t, cfg)
			places, judged := i.plan([]*k8s.Pod{running("a", func(p *k8s.Pod) { p.Annotations["x"] = tt.x })})
			got := fmt.Sprintf("%s: %s", judged[0].Code, judged[0].Reason)
			if len(places) == 1 {
				target := i.target(places[0])
				got = fmt.Sprintf("%s %v %v", target.URL, target.Interval, target.Timeout)
			}
			if got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}
