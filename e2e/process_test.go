//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"kinglet/e2e/harness"
)

// kinglet is the agent under test.
type kinglet struct {
	*harness.Process
	listen string // host:port of its health and metrics
}

// startKinglet runs the agent on the tree dir, whose [serve] listen is listen.
func startKinglet(t *testing.T, listen, dir string, args ...string) *kinglet {
	t.Helper()
	p := harness.NewProcess(t, []string{"HOSTNAME=node-1"}, binaries.kinglet, append([]string{"--configs", dir}, args...)...)
	p.Start(t)
	return &kinglet{Process: p, listen: listen}
}

// stop asks the agent to end: it must do so in an orderly way, in time.
func (k *kinglet) stop(t *testing.T) {
	t.Helper()
	k.Stop(t, 15*time.Second)
}

// waitUp waits until the agent has scraped n targets and found them up.
func (k *kinglet) waitUp(t *testing.T, n int, within time.Duration) {
	t.Helper()
	harness.Eventually(t, within, fmt.Sprintf("%d targets up", n), func() (bool, string) {
		var page struct {
			Targets []struct{ URL, State, Error string }
		}
		if err := getJSON(k.url("/targets"), &page); err != nil {
			return false, err.Error()
		}
		up := 0
		for _, target := range page.Targets {
			if target.State == "up" {
				up++
			}
		}
		return up == n, fmt.Sprintf("%+v", page.Targets)
	})
}

func (k *kinglet) url(path string) string { return "http://" + k.listen + path }

func getJSON(url string, into any) error {
	body, err := harness.Get(url)
	if err != nil {
		return err
	}
	return json.Unmarshal([]byte(body), into)
}
