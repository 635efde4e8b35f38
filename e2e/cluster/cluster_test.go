//go:build e2e

// Package cluster tests kinglet where it is meant to run: as the DaemonSet of
// k8s/deploy, in a cluster of the real programs, on a node with the real
// kubelet, kube-proxy and pods. What is true is what the query API of a real
// receiver, running in that cluster, says.
//
// `make e2e-cluster` starts the cluster and runs this; elsewhere it does
// nothing. docs/cluster-tests.md has the list of what is shown.
package cluster

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"
)

// interval is that of every target, see manifests/kinglet.
const interval = 5 * time.Second

// node is what the tests run in; TestMain sets it once.
var node *machine

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	work, scripts := os.Getenv("KINGLET_CLUSTER_WORK"), os.Getenv("KINGLET_CLUSTER_SCRIPTS")
	if work == "" || scripts == "" {
		fmt.Println("e2e/cluster: nothing is tested here: make e2e-cluster starts a cluster and runs this in it")
		return 0
	}
	node = &machine{work: work, scripts: scripts}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if err := node.deploy(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "e2e/cluster:", err)
		fmt.Fprintln(os.Stderr, node.state())
		return 1
	}
	code := m.Run()
	if code != 0 {
		fmt.Fprintln(os.Stderr, node.state())
	}
	node.figures.print(os.Stdout)
	return code
}

// TestCluster runs all steps on one cluster, one after the other: those that
// disturb it come late, and the last ones look back on all of it.
func TestCluster(t *testing.T) {
	for _, step := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"kube-proxy in iptables mode is scraped", kubeProxyIptables},
		{"the kubelet's four pages are scraped", kubeletPages},
		{"pods are found by annotation, and only those", podsByAnnotation},
		{"kinglet runs with no privileges", noPrivileges},
		{"a deleted pod ends within one interval", deletedPod},
		{"a pod that comes back under its name mixes no sample", rebornPods},
		{"80 pods at once", eightyPods},
		{"a changed ConfigMap is in effect within 10 s of the volume", changedConfigMap},
		{"a kinglet that is killed loses nothing", killed},
		{"a rollout of kinglet leaves no gap and loses nothing", rollout},
		{"a kubelet that restarts, and a token that rotates, fail no scrape", restartedKubelet},
		{"kube-proxy in nftables mode is scraped", kubeProxyNftables},
		{"scraping goes on without the API server", stoppedAPIServer},
		{"the API server is asked for nothing after the start", noRequests},
		{"the API server can be the source", apiServerAsSource},
		{"no scrape of any pod was lost", nothingLost},
	} {
		t.Run(step.name, step.run)
	}
}

// eventually asks until done says so; at the deadline it fails the test with
// what done said last. It returns the time it took.
func eventually(t *testing.T, deadline time.Duration, what string, done func() (ok bool, state string)) time.Duration {
	t.Helper()
	started := time.Now()
	for {
		ok, state := done()
		if ok {
			return time.Since(started)
		}
		if time.Since(started) > deadline {
			t.Fatalf("%s: not within %v; last seen: %s", what, deadline, state)
		}
		pause(t, 200*time.Millisecond)
	}
}

// pause waits: these tests are about a world whose clock is not theirs.
func pause(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
		t.Fatal(t.Context().Err())
	}
}
