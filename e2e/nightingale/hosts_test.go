//go:build e2e

package nightingale

import (
	"crypto/sha256"
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"kinglet/e2e/harness"
)

func heartbeatTable(n *simulator) string {
	return fmt.Sprintf("[heartbeat]\nenable = true\nurl = \"%s/v1/n9e/heartbeat\"\ninterval = 4\n", n.URL)
}

// awaitHost waits for a heartbeat of node-1 beyond the one numbered so.
func awaitHost(t *testing.T, n *simulator, beyond int) host {
	t.Helper()
	harness.Eventually(t, 10*time.Second, "node-1 is in the host list", func() (bool, string) {
		h, ok := n.host("node-1")
		return ok && h.beats > beyond, fmt.Sprintf("%d heartbeats", h.beats)
	})
	h, _ := n.host("node-1")
	return h
}

// TestTheNodeIsInTheHostListUnderTheNameOfItsSamples is what [heartbeat] is for.
func TestTheNodeIsInTheHostListUnderTheNameOfItsSamples(t *testing.T) {
	n, x := newSimulator(t, shipped), newTarget(t)
	k := startKinglet(t, x, configuration(n, "", heartbeatTable(n)+"[global.labels]\nregion = \"north\"\n"))
	h := awaitHost(t, n, 1)
	k.stop(t)

	for field, want := range map[string]any{
		"hostname": "node-1", "os": runtime.GOOS, "arch": runtime.GOARCH, "cpu_num": float64(runtime.NumCPU()),
		"global_labels": map[string]any{"region": "north"},
	} {
		if got := fmt.Sprint(h.fields[field]); got != fmt.Sprint(want) {
			t.Errorf("%s is %s, want %v", field, got, want)
		}
	}
	for _, field := range []string{"cpu_util", "mem_util"} {
		if got, ok := h.fields[field].(float64); !ok || got <= 0 || got > 100 {
			t.Errorf("%s is %v, want a percentage of a machine at work", field, h.fields[field])
		}
	}
	sent, _ := h.fields["unixtime"].(float64)
	if late := h.at.Sub(time.UnixMilli(int64(sent))); late < 0 || late > 2*time.Second {
		t.Errorf("unixtime is %v before the heartbeat came, so the clocks seem to differ", late)
	}
	for _, labels := range []string{`agent_hostname="node-1"`} {
		if found := n.series(labels); len(found) > 0 {
			t.Errorf("%d series belong to no host", len(found))
		}
	}
	wantEveryPageOnce(t, n, x)
	for labels := range n.series() {
		if len(n.series(`ident="node-1"`, `region="north"`)[labels]) == 0 {
			t.Errorf("%s is of another host", labels)
		}
	}
}

// TestAnOfferedUpdateIsNotTaken gives the answer at which Categraf replaces its
// own binary.
func TestAnOfferedUpdateIsNotTaken(t *testing.T) {
	n, x := newSimulator(t, shipped), newTarget(t)
	n.answer = fmt.Sprintf(`{"dat":{"new_version":"v9.9.9","download_url":"%s/kinglet.tar.gz"},"err":""}`, n.URL)
	before := checksum(t)
	k := startKinglet(t, x, configuration(n, "", heartbeatTable(n)))
	awaitHost(t, n, 1)
	if ended, how := k.Ended(); ended {
		t.Fatalf("kinglet ended: %v", how)
	}
	k.stop(t)
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.strays) > 0 {
		t.Errorf("kinglet asked for %v", n.strays)
	}
	if checksum(t) != before {
		t.Error("the binary is another")
	}
}

func checksum(t *testing.T) [sha256.Size]byte {
	t.Helper()
	text, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(text)
}

// TestANewPasswordIsTakenUpAndNothingIsLost changes the agents' password on the
// server first, and on the node later.
func TestANewPasswordIsTakenUpAndNothingIsLost(t *testing.T) {
	n, x := newSimulator(t, settings{queueMaxSize: 200}), newTarget(t)
	n.password = "first"
	file := t.TempDir() + "/password"
	keys := fmt.Sprintf("basic_auth_user = \"agent\"\nbasic_auth_pass_file = %q\n", file)
	secret := func(text string) {
		if err := os.WriteFile(file, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	secret("first")
	k := startKinglet(t, x, configuration(n, keys, heartbeatTable(n)+keys))
	beats := awaitHost(t, n, 0).beats
	n.set(func() { n.password = "second" })
	secret("second")
	awaitHost(t, n, beats)
	awaitPages(t, x, 5)
	k.stop(t)
	wantEveryPageOnce(t, n, x)
}
