package main

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"kinglet/internal/tree"
)

// hostList is a Nightingale that takes heartbeats.
type hostList struct {
	*httptest.Server
	mu    sync.Mutex
	beats []map[string]any
}

func newHostList(t *testing.T) *hostList {
	t.Helper()
	l := &hostList{}
	l.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var beat map[string]any
		z, err := gzip.NewReader(r.Body)
		if err == nil {
			err = json.NewDecoder(z).Decode(&beat)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		l.beats = append(l.beats, beat)
		fmt.Fprint(w, `{"dat":null,"err":""}`)
	}))
	t.Cleanup(l.Close)
	return l
}

// last is a field of the latest heartbeat; nil before the first.
func (l *hostList) last(field string) any {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.beats) == 0 {
		return nil
	}
	return l.beats[len(l.beats)-1][field]
}

func beating(url string) string {
	return fmt.Sprintf("[heartbeat]\nenable = true\nurl = %q\ninterval = 4\n", url)
}

func TestHeartbeatsNameTheHostAsItsSamplesDoAndReloadsChangeThem(t *testing.T) {
	remote, hosts := newStore(t), newHostList(t)
	target := node(t, func() string { return "a 1\n" })
	listen := freeAddress(t)
	main := mainConfig(listen, remote.URL)
	dir := tree.Make(t, map[string]string{
		"config.toml":               main + beating(hosts.URL),
		"input.prometheus/one.toml": fmt.Sprintf("[[instances]]\nurls = [%q]\n", target.URL),
	})
	k := start(t, "-configs", dir)
	eventually(t, "a heartbeat of node-1 arrives", func() bool { return hosts.last("hostname") == "node-1" })
	eventually(t, "a sample of node-1 arrives", func() bool {
		_, ok := remote.value("a{agent_hostname=\"node-1\",instance=\"" + target.URL + "/metrics\"}")
		return ok
	})

	changed := strings.Replace(main, "$HOSTNAME", "node-2", 1) + beating(hosts.URL) + "[global.labels]\nregion = \"north\"\n"
	if err := os.WriteFile(filepath.Join(dir, "config.toml"), []byte(changed), 0o644); err != nil {
		t.Fatal(err)
	}
	k.hangups <- os.Interrupt
	eventually(t, "a heartbeat of node-2 arrives", func() bool { return hosts.last("hostname") == "node-2" })
	if labels := fmt.Sprint(hosts.last("global_labels")); labels != "map[region:north]" {
		t.Errorf("global_labels are %s", labels)
	}
	eventually(t, "the metrics tell of it", func() bool {
		_, text := fetch(t, "GET", "http://"+listen+"/metrics")
		return strings.Contains(text, "kinglet_heartbeat_enabled 1") && strings.Contains(text, `kinglet_heartbeat_beats_total{result="accepted"}`)
	})
	if code := k.end(); code != exitOK {
		t.Errorf("exit code %d: %s", code, k.stderr)
	}
}

func TestAHeartbeatThatFailsChangesNothingElse(t *testing.T) {
	remote := newStore(t)
	target := node(t, func() string { return "a 1\n" })
	listen := freeAddress(t)
	dir := tree.Make(t, map[string]string{
		"config.toml":               mainConfig(listen, remote.URL) + beating("http://127.0.0.1:1/v1/n9e/heartbeat"),
		"input.prometheus/one.toml": fmt.Sprintf("[[instances]]\nurls = [%q]\n", target.URL),
	})
	k := start(t, "-configs", dir)
	eventually(t, "a heartbeat has failed", func() bool {
		_, text := fetch(t, "GET", "http://"+listen+"/metrics")
		return strings.Contains(text, `kinglet_heartbeat_beats_total{result="unanswered"} 1`)
	})
	eventually(t, "kinglet is ready all the same", func() bool { code, _ := fetch(t, "GET", "http://"+listen+"/-/ready"); return code == 200 })
	if code := k.end(); code != exitOK {
		t.Errorf("exit code %d: %s", code, k.stderr)
	}
}

func TestADryRunSendsNoHeartbeat(t *testing.T) {
	hosts := newHostList(t)
	target := node(t, func() string { return "a 1\n" })
	dir := tree.Make(t, map[string]string{
		"config.toml":               mainConfig("", "http://127.0.0.1:1/never") + beating(hosts.URL),
		"input.prometheus/one.toml": fmt.Sprintf("[[instances]]\nurls = [%q]\n", target.URL),
	})
	if code := <-start(t, "-configs", dir, "-test").code; code != exitOK {
		t.Errorf("exit code %d", code)
	}
	if got := hosts.last("hostname"); got != nil {
		t.Errorf("a heartbeat of %v", got)
	}
}
