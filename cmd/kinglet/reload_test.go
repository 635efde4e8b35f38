package main

import (
	"fmt"
	"testing"

	"kinglet/internal/tree"
)

// TestAnInputThatAReloadStartsOutlivesTheRequest adds an input and asks for a
// reload over HTTP.
func TestAnInputThatAReloadStartsOutlivesTheRequest(t *testing.T) {
	remote, listen := newStore(t), freeAddress(t)
	target := node(t, func() string { return "a 1\n" })
	dir := tree.Make(t, map[string]string{"config.toml": mainConfig(listen, remote.URL)})
	k := start(t, "-configs", dir)
	eventually(t, "kinglet listens", func() bool { code, _ := fetch(t, "GET", "http://"+listen+"/-/healthy"); return code == 200 })
	tree.Write(t, dir, map[string]string{"input.prometheus/one.toml": fmt.Sprintf("[[instances]]\nurls = [%q]\n", target.URL)})
	if code, text := fetch(t, "POST", "http://"+listen+"/-/reload"); code != 200 {
		t.Fatalf("%d %s", code, text)
	}
	eventually(t, "the new input's sample arrives", func() bool {
		_, ok := remote.value("a{agent_hostname=\"node-1\",instance=\"" + target.URL + "/metrics\"}")
		return ok
	})
	if code := k.end(); code != exitOK {
		t.Errorf("exit code %d: %s", code, k.stderr)
	}
}
