//go:build e2e

package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func kubeProxyIptables(t *testing.T) {
	one(t, 30*time.Second, `up{job="kube-proxy"} == 1`)
	one(t, 30*time.Second, `sum(kubeproxy_sync_proxy_rules_iptables_total{job="kube-proxy"}) > 0`)
	one(t, 30*time.Second, `sum(rate(kubeproxy_sync_proxy_rules_duration_seconds_count{job="kube-proxy"}[1m])) >= 0`)
}

// kubeProxyNftables starts kube-proxy in its other mode, and in the first again.
func kubeProxyNftables(t *testing.T) {
	file := filepath.Join(node.work, "etc/kube-proxy.yaml")
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	use := func(settings string) {
		if err := os.WriteFile(file, []byte(settings), 0o644); err != nil {
			t.Fatal(err)
		}
		node.daemon(t, "restart", "kube-proxy")
		eventually(t, time.Minute, "kube-proxy is healthy", func() (bool, string) {
			_, err := fetch("http://127.0.0.1:10256/healthz")
			return err == nil, fmt.Sprint(err)
		})
	}
	settings := strings.Replace(string(before), "mode: iptables", "mode: nftables", 1)
	if settings == string(before) {
		settings = strings.Replace(settings, "mode: nftables", "mode: iptables", 1)
	}
	use(settings)
	defer use(string(before))
	mode, err := fetch("http://127.0.0.1:10249/proxyMode")
	if err != nil || !strings.Contains(settings, "mode: "+mode) {
		t.Fatalf("kube-proxy is in mode %q: %v", mode, err)
	}
	one(t, time.Minute, `up{job="kube-proxy"} == 1`)
	one(t, time.Minute, `sum({__name__=~"kubeproxy_.*`+mode+`.*",job="kube-proxy"}) >= 0`)
	one(t, time.Minute, `sum(kubeproxy_sync_proxy_rules_duration_seconds_count{job="kube-proxy"}) > 0`)
}

// kubeletPages finds each page's own series, and of cAdvisor and the resource
// page those of kinglet's own container.
func kubeletPages(t *testing.T) {
	for page, series := range map[string]string{
		"/metrics":          `kubelet_running_pods{%s} > 5`,
		"/metrics/cadvisor": `container_memory_working_set_bytes{%s,namespace="kinglet",container="kinglet"} > 0`,
		"/metrics/resource": `container_memory_working_set_bytes{%s,namespace="kinglet",container="kinglet"} > 0`,
		"/metrics/probes":   `sum(prober_probe_total{%s,namespace="kinglet"}) > 0`,
	} {
		selector := fmt.Sprintf(`job="kubelet",metrics_path=%q`, page)
		one(t, 30*time.Second, `up{`+selector+`} == 1`)
		one(t, 45*time.Second, fmt.Sprintf(series, selector))
	}
}
