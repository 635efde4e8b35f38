//go:build e2e

package e2e

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"kinglet/e2e/harness"
)

func TestDemoShowsSamplesAndLeavesNothing(t *testing.T) {
	temp, address := t.TempDir(), harness.FreeAddress(t)
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	demo := harness.NewProcess(t, []string{"TMPDIR=" + temp}, binaries.demo, "-kinglet", binaries.kinglet, "-port", port, "-interval", "1s")
	start := time.Now()
	demo.Start(t)
	ask := func(query string) string {
		answer, err := harness.Get("http://" + address + "/api/v1/query?query=" + url.QueryEscape(query))
		return fmt.Sprint(answer, err)
	}
	harness.Eventually(t, time.Minute, "every target is up", func() (bool, string) {
		answer := ask("sum(up)")
		return strings.Contains(answer, `"4"`), answer
	})
	t.Logf("four targets are up after %v", time.Since(start).Round(time.Millisecond))
	harness.Eventually(t, time.Minute, "counters advance", func() (bool, string) {
		answer := ask(`sum(rate(kubeproxy_sync_proxy_rules_duration_seconds_count[1m])) > 0`)
		return strings.Contains(answer, `"value"`), answer
	})
	if err := demo.Signal(syscall.SIGINT); err != nil { // Ctrl-C
		t.Fatal(err)
	}
	if err := demo.Wait(t, 30*time.Second); err != nil {
		t.Fatalf("ended with %v", err)
	}
	left, err := os.ReadDir(temp)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	for _, line := range processesNaming(t, temp) {
		t.Errorf("still running: %s", line)
	}
	for _, want := range []string{"SCRAPED", "PUSHED", "ASKED", "ASK YOURSELF", "kube-proxy", "cadvisor", "0 refused", "nothing is left behind"} {
		if !strings.Contains(demo.Tail(200), want) {
			t.Errorf("the report does not say %q", want)
		}
	}
}

func TestDemoEndsByItself(t *testing.T) {
	demo := harness.NewProcess(t, nil, binaries.demo, "-kinglet", binaries.kinglet, "-port", "0", "-interval", "1s", "-duration", "8s")
	demo.Start(t)
	if err := demo.Wait(t, 40*time.Second); err != nil {
		t.Errorf("ended with %v", err)
	}
}

// processesNaming lists the processes whose command line holds text.
func processesNaming(t *testing.T, text string) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err == nil && strings.Contains(string(line), text) {
			found = append(found, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return found
}
