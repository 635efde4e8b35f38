//go:build e2e

package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kinglet/e2e/harness"
)

// iptablesSeries are what kube-proxy has in iptables mode alone; in nftables mode
// it has none of its own.
const iptablesSeries = `count(kubeproxy_sync_proxy_rules_iptables_total{job="kube-proxy"})`

func kubeProxyIptables(t *testing.T) {
	one(t, 30*time.Second, `up{job="kube-proxy"} == 1`)
	one(t, 30*time.Second, iptablesSeries)
	one(t, 30*time.Second, `sum(kubeproxy_sync_proxy_rules_duration_seconds_count{job="kube-proxy"}) > 0`)
}

// kubeProxyNftables starts kube-proxy in its other mode, and in the first again.
func kubeProxyNftables(t *testing.T) {
	useProxyMode(t, "iptables", "nftables")
	defer useProxyMode(t, "nftables", "iptables")
	eventually(t, 3*interval, "the series of iptables mode end", func() (bool, string) {
		found := instant(t, iptablesSeries)
		return len(found) == 0, fmt.Sprint(found)
	})
	one(t, 3*interval, `up{job="kube-proxy"} == 1`)
	one(t, 3*interval, `sum(kubeproxy_sync_proxy_rules_duration_seconds_count{job="kube-proxy"}) > 0`)
}

// useProxyMode changes kube-proxy's mode and waits until it works.
func useProxyMode(t *testing.T, from, to string) {
	t.Helper()
	file := filepath.Join(node.work, "etc/kube-proxy.yaml")
	settings, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(settings), "mode: "+from+"\n", "mode: "+to+"\n", 1)
	if changed == string(settings) {
		t.Fatalf("kube-proxy is not in mode %s:\n%s", from, settings)
	}
	if err := os.WriteFile(file, []byte(changed), 0o644); err != nil {
		t.Fatal(err)
	}
	node.daemon(t, "restart", "kube-proxy")
	eventually(t, time.Minute, "kube-proxy is healthy", func() (bool, string) {
		_, err := harness.Get("http://127.0.0.1:10256/healthz")
		return err == nil, fmt.Sprint(err)
	})
	mode, err := harness.Get("http://127.0.0.1:10249/proxyMode")
	if err != nil || mode != to {
		t.Fatalf("kube-proxy is in mode %q: %v", mode, err)
	}
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
