package pods

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kinglet/k8s"
)

// told is a verdict in a line: the pod, its container and port, then its URL or
// why it has none.
func told(v Verdict) string {
	where := v.Namespace + "/" + v.Pod
	if v.Port != 0 || v.Container != "" {
		where += fmt.Sprintf(" %s:%d", v.Container, v.Port)
	}
	if v.Scraped {
		return where + " " + v.URL
	}
	return fmt.Sprintf("%s %s: %s", where, v.Code, v.Reason)
}

func TestEveryPodHasAVerdict(t *testing.T) {
	const asked = "http://10.0.0.1:8080/metrics"
	unasked := func(p *k8s.Pod) { p.Annotations = nil }
	phase := func(phase string) func(*k8s.Pod) { return func(p *k8s.Pod) { p.Phase = phase } }
	in := func(namespace string) func(*k8s.Pod) { return func(p *k8s.Pod) { p.Namespace = namespace } }
	state := func(s k8s.State) func(*k8s.Pod) { return func(p *k8s.Pod) { p.Containers[0].State = s } }
	deleting := func(p *k8s.Pod) { p.Deleting = true }
	initContainer := func(sidecar bool, s k8s.State) k8s.Container {
		c := container("init", 15020)
		c.Init, c.Sidecar, c.State = true, sidecar, s
		return c
	}
	for _, tt := range []struct {
		name string
		edit func(*Config)
		pod  *k8s.Pod
		want []string
	}{
		{"asked for", nil, running("a"), []string{"shop/a c:8080 " + asked}},
		{"not asked for", nil, running("a", unasked),
			[]string{`shop/a no_annotation: it has no annotation prometheus.io/scrape: want it to be "true", or require_annotation = false`}},
		{"declined", nil, running("a", annotate(map[string]string{"scrape": "false"})),
			[]string{`shop/a declined: annotation prometheus.io/scrape = "false": want "true"`}},
		{"neither yes nor no", nil, running("a", annotate(map[string]string{"scrape": "yes"})),
			[]string{`shop/a bad_annotation: annotation prometheus.io/scrape = "yes": want "true" or "false"`}},
		{"yes in capitals", nil, running("a", annotate(map[string]string{"scrape": "True"})), []string{"shop/a c:8080 " + asked}},
		{"need not ask", func(c *Config) { c.RequireAnnotation = false }, running("a", unasked), []string{"shop/a c:8080 " + asked}},
		{"declined where it need not ask", func(c *Config) { c.RequireAnnotation = false }, running("a", annotate(map[string]string{"scrape": "false"})),
			[]string{`shop/a declined: annotation prometheus.io/scrape = "false": want "true"`}},
		{"another prefix", func(c *Config) { c.AnnotationPrefix = "metrics.example" }, running("a"),
			[]string{`shop/a no_annotation: it has no annotation metrics.example/scrape: want it to be "true", or require_annotation = false`}},

		{"namespace", func(c *Config) { c.Namespaces = []string{"team-*", "kube-system"} }, running("a"),
			[]string{`shop/a namespace: namespace shop is not among namespaces = ["team-*" "kube-system"]`}},
		{"namespace by pattern", func(c *Config) { c.Namespaces = []string{"team-*", "kube-system"} }, running("a", in("team-x")), []string{"team-x/a c:8080 " + asked}},
		{"selector", func(c *Config) { c.LabelSelector = "app in (b, c), !canary" }, running("a"),
			[]string{`shop/a label_selector: its labels do not match label_selector = "app in (b, c), !canary"`}},
		{"selected", func(c *Config) { c.LabelSelector = "app in (b, c), !canary" }, running("b"), []string{"shop/b c:8080 " + asked}},

		{"succeeded", nil, running("a", phase(k8s.PodSucceeded)), []string{"shop/a phase: it has finished (phase Succeeded)"}},
		{"failed", nil, running("a", phase(k8s.PodFailed)), []string{"shop/a phase: it has finished (phase Failed)"}},
		{"pending without an address", nil, running("a", phase(k8s.PodPending), at("")), []string{"shop/a no_address: it has no address yet (phase Pending)"}},
		{"pending with an address", nil, running("a", phase(k8s.PodPending)), []string{"shop/a c:8080 phase: it does not run yet (phase Pending)"}},
		{"an address that is none", nil, running("a", at("evil.example")), []string{`shop/a no_address: its address "evil.example" is none that a pod can have`}},
		{"the address of metadata services", nil, running("a", at("169.254.169.254")), []string{`shop/a no_address: its address "169.254.169.254" is none that a pod can have`}},
		{"no address at all", nil, running("a", at("0.0.0.0")), []string{`shop/a no_address: its address "0.0.0.0" is none that a pod can have`}},
		{"IPv6", nil, running("a", at("fd00::9")), []string{"shop/a c:8080 http://[fd00::9]:8080/metrics"}},
		{"IPv6 with a zone", nil, running("a", at("fe80::1%eth0")), []string{`shop/a no_address: its address "fe80::1%eth0" is none that a pod can have`}},
		{"about to be restarted", nil, running("a", state(k8s.Waiting)), []string{"shop/a c:8080 " + asked}},
		{"terminating, and still there", nil, running("a", deleting), []string{"shop/a c:8080 " + asked}},
		{"terminating, and ended", nil, running("a", deleting, state(k8s.Terminated)), []string{"shop/a c:8080 phase: it is being terminated, and its container has ended"}},

		{"no port", nil, running("a", containers(container("c"))),
			[]string{"shop/a no_port: its containers declare no port: want one, or the annotation prometheus.io/port"}},
		{"a port that is not declared", nil, running("a", containers(container("c")), annotate(map[string]string{"port": "9"})), []string{"shop/a c:9 http://10.0.0.1:9/metrics"}},
		{"a port that nobody can be asked of", nil, running("a", containers(container("c"), container("d")), annotate(map[string]string{"port": "9"})),
			[]string{"shop/a :9 http://10.0.0.1:9/metrics"}},
		{"a port of the second container", nil, running("a", containers(container("c", 1), container("d", 2)), annotate(map[string]string{"port": "2"})),
			[]string{"shop/a d:2 http://10.0.0.1:2/metrics"}},
		{"a port for UDP", nil, running("a", containers(k8s.Container{Name: "dns", Ports: []k8s.Port{{Number: 53, Protocol: "UDP"}, {Number: 53, Protocol: "TCP"}}})),
			[]string{"shop/a dns:53 protocol: port 53 is declared for UDP: pages come over TCP", "shop/a dns:53 http://10.0.0.1:53/metrics"}},
		{"a name that is not wanted", func(c *Config) { c.PortNames = []string{"*metrics"} },
			running("a", containers(k8s.Container{Name: "c", Ports: []k8s.Port{{Name: "http", Number: 80, Protocol: "TCP"}, {Name: "http-metrics", Number: 81, Protocol: "TCP"}}})),
			[]string{`shop/a c:80 port_name: port 80 is named "http", which is not among port_names = ["*metrics"]: want such a name, or the annotation prometheus.io/port`,
				"shop/a c:81 http://10.0.0.1:81/metrics"}},

		{"one port by two names", func(c *Config) { c.PortNames = []string{"metrics"} },
			running("a", containers(k8s.Container{Name: "c", Ports: []k8s.Port{{Name: "http", Number: 80, Protocol: "TCP"}, {Name: "metrics", Number: 80, Protocol: "TCP"}}})),
			[]string{`shop/a c:80 port_name: port 80 is named "http", which is not among port_names = ["metrics"]: want such a name, or the annotation prometheus.io/port`,
				"shop/a c:80 http://10.0.0.1:80/metrics"}},

		{"an init container", nil, running("a", containers(container("c", 8080), initContainer(false, k8s.Terminated))),
			[]string{"shop/a c:8080 " + asked,
				"shop/a init:15020 init_container: init is an init container, which ends before the pod begins: only those with restartPolicy Always are scraped"}},
		{"a sidecar", nil, running("a", containers(container("c", 8080), initContainer(true, k8s.Running))),
			[]string{"shop/a c:8080 " + asked, "shop/a init:15020 http://10.0.0.1:15020/metrics"}},
		{"a sidecar that is there before the pod", nil, running("a", phase(k8s.PodPending), containers(container("c", 8080), initContainer(true, k8s.Running))),
			[]string{"shop/a c:8080 phase: it does not run yet (phase Pending)", "shop/a init:15020 http://10.0.0.1:15020/metrics"}},
		{"a sidecar that is not there yet", nil, running("a", phase(k8s.PodPending), containers(initContainer(true, k8s.Waiting))),
			[]string{"shop/a init:15020 phase: its container init does not run yet"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, v := range verdicts(t, tt.edit, tt.pod) {
				got = append(got, told(v))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// lines are verdicts in lines.
func lines(judged []Verdict) string {
	var all strings.Builder
	for _, v := range judged {
		all.WriteString(told(v) + "\n")
	}
	return all.String()
}

func TestOfEqualURLsOneIsScraped(t *testing.T) {
	host := func(p *k8s.Pod) { p.IP, p.HostNetwork = "10.0.0.7", true }
	port := func(n int) func(*k8s.Pod) { return containers(container("c", n)) }
	deleting := func(p *k8s.Pod) { p.Deleting = true }
	for _, tt := range []struct {
		name string
		pods []*k8s.Pod
		want string
	}{
		{"pods that share the host's address", []*k8s.Pod{running("a", host, port(1)), running("b", host, port(2))},
			"shop/a c:1 http://10.0.0.7:1/metrics\nshop/b c:2 http://10.0.0.7:2/metrics\n"},
		{"and its port: the first by name", []*k8s.Pod{running("a", host), running("b", host)},
			"shop/a c:8080 http://10.0.0.7:8080/metrics\n" +
				"shop/b c:8080 duplicate: http://10.0.0.7:8080/metrics is scraped for pod shop/a already\n"},
		{"the one that stays", []*k8s.Pod{running("a", host, deleting), running("b", host)},
			"shop/a c:8080 duplicate: http://10.0.0.7:8080/metrics is scraped for pod shop/b already\n" +
				"shop/b c:8080 http://10.0.0.7:8080/metrics\n"},
		{"the one that declares the port", []*k8s.Pod{running("a", host, port(1), annotate(map[string]string{"port": "2"})), running("b", host, port(2))},
			"shop/a c:2 duplicate: http://10.0.0.7:2/metrics is scraped for pod shop/b already\n" +
				"shop/b c:2 http://10.0.0.7:2/metrics\n"},
		{"an address that was reused", []*k8s.Pod{running("a", func(p *k8s.Pod) { p.Phase = k8s.PodSucceeded }), running("b")},
			"shop/a phase: it has finished (phase Succeeded)\nshop/b c:8080 http://10.0.0.1:8080/metrics\n"},
		{"a port that two containers declare", []*k8s.Pod{running("a", containers(container("c", 8080), container("d", 8080)))},
			"shop/a c:8080 http://10.0.0.1:8080/metrics\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, lines(verdicts(t, nil, tt.pods...))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestTargetLimitLeavesOutTheLastByName(t *testing.T) {
	got := lines(verdicts(t, func(c *Config) { c.TargetLimit = 2 }, running("a"), running("b", at("10.0.0.2")), running("c", at("10.0.0.3"))))
	want := "shop/a c:8080 http://10.0.0.1:8080/metrics\nshop/b c:8080 http://10.0.0.2:8080/metrics\n" +
		"shop/c c:8080 target_limit: target_limit = 2, and the pods of this node have 3 targets\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLabelsOfATarget(t *testing.T) {
	labelled := func(p *k8s.Pod) {
		p.Labels = map[string]string{"app": "web", "app.kubernetes.io/name": "w", "app_kubernetes_io_name": "second", "pod": "fake", "secret": "x", "container": "fake"}
	}
	for _, tt := range []struct {
		name string
		edit func(*Config)
		pod  *k8s.Pod
		want map[string]string
	}{
		{"by default", nil, running("a", labelled),
			map[string]string{"namespace": "shop", "pod": "a", "container": "c", "node": "node1", "job": "kubernetes-pods", "instance": "10.0.0.1:8080"}},
		{"of IPv6", nil, running("a", at("fd00::9")),
			map[string]string{"namespace": "shop", "pod": "a", "container": "c", "node": "node1", "job": "kubernetes-pods", "instance": "[fd00::9]:8080"}},
		{"without a container to name", func(c *Config) { c.PodLabels = []string{"*"} }, running("a", func(p *k8s.Pod) { p.Labels = map[string]string{"container": "fake"} },
			containers(container("c"), container("d")), annotate(map[string]string{"port": "9"})),
			map[string]string{"namespace": "shop", "pod": "a", "node": "node1", "job": "kubernetes-pods", "instance": "10.0.0.1:9"}},
		{"some of the pod's", func(c *Config) { c.PodLabels = []string{"app", "app_kubernetes_io_*", "pod", "container"} }, running("a", labelled),
			map[string]string{"namespace": "shop", "pod": "a", "container": "c", "node": "node1", "job": "kubernetes-pods", "instance": "10.0.0.1:8080",
				"app": "web", "app_kubernetes_io_name": "w"}},
		{"by their names in Kubernetes", func(c *Config) { c.PodLabels = []string{"app.kubernetes.io/*"} }, running("a", labelled),
			map[string]string{"namespace": "shop", "pod": "a", "container": "c", "node": "node1", "job": "kubernetes-pods", "instance": "10.0.0.1:8080",
				"app_kubernetes_io_name": "w"}},
		{"configured", func(c *Config) {
			c.Job, c.Labels = "apps", map[string]string{"cluster": "c1", "node": "-", "instance": "mine"}
		}, running("a"), map[string]string{"namespace": "shop", "pod": "a", "container": "c", "job": "apps", "instance": "mine", "cluster": "c1"}},
		{"without instance", func(c *Config) { c.Labels = map[string]string{"instance": "-"} }, running("a"),
			map[string]string{"namespace": "shop", "pod": "a", "container": "c", "node": "node1", "job": "kubernetes-pods"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := verdicts(t, tt.edit, tt.pod)
			if diff := cmp.Diff(tt.want, got[0].Labels); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestSettingsAndKeysTellWhatChanged(t *testing.T) {
	key := func(edit func(*Config), pod *k8s.Pod) (string, string) {
		cfg := DefaultConfig()
		if edit != nil {
			edit(&cfg)
		}
		i := mustInstance(t, cfg)
		places, _ := i.plan([]*k8s.Pod{pod})
		target := i.target(places[0])
		return target.Key, target.Settings
	}
	baseKey, baseSettings := key(nil, running("a"))
	for _, tt := range []struct {
		name          string
		edit          func(*Config)
		pod           *k8s.Pod
		key, settings bool // differ
	}{
		{"nothing", nil, running("a"), false, false},
		{"the pod's status", nil, running("a", func(p *k8s.Pod) { p.Ready, p.Containers[0].Restarts = "false", 3 }), false, false},
		{"which pods", func(c *Config) { c.Namespaces, c.TargetLimit = []string{"shop"}, 7 }, running("a"), false, false},
		{"the source", func(c *Config) { c.Source = "api" }, running("a"), false, false},
		{"the timeout", func(c *Config) { c.Timeout.Duration /= 2 }, running("a"), false, true},
		{"the interval", func(c *Config) { c.Interval.Duration = 30e9 }, running("a"), false, true},
		{"filters", func(c *Config) { c.MetricsDrop = []string{"go_*"} }, running("a"), false, true},
		{"the address", nil, running("a", at("10.0.0.2")), true, false},
		{"the job", func(c *Config) { c.Job = "x" }, running("a"), true, false},
		{"the pod, at the same address", nil, running("b"), true, false},
	} {
		gotKey, gotSettings := key(tt.edit, tt.pod)
		if (gotKey != baseKey) != tt.key || (gotSettings != baseSettings) != tt.settings {
			t.Errorf("%s: key differs %v, settings differ %v", tt.name, gotKey != baseKey, gotSettings != baseSettings)
		}
	}
}
