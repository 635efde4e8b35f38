package scrape

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"kinglet/inputs"
)

// counted is a client that knows how often it was closed.
type counted struct{ closed int }

func (c *counted) Close() { c.closed++ }

// TestAnUpdateKeepsTheClientsOfWhatDidNotChange: an instance here is the
// settings of its client, and "bad" is at fault.
func TestAnUpdateKeepsTheClientsOfWhatDidNotChange(t *testing.T) {
	made := map[string][]*counted{}
	in, err := NewInstances("test", func(name string, _ inputs.Settings, clients *Clients[*counted]) ([]Target, error) {
		_, err := clients.Of(name, func() (*counted, error) {
			if name == "bad" {
				return nil, errors.New("no such thing")
			}
			c := &counted{}
			made[name] = append(made[name], c)
			return c, nil
		})
		return []Target{{Key: name, URL: "http://" + name}}, err
	}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	const none = "<nil>"
	for _, tt := range []struct {
		name   string
		cfgs   []string
		fault  string
		closed map[string][]int // by name: each client made, how often it was closed
		have   []string
	}{
		{"two of the same have one", []string{"a", "b", "a"}, none, map[string][]int{"a": {0}, "b": {0}}, []string{"a", "b"}},
		{"a fault changes nothing", []string{"a", "c", "bad"}, "instance 3: no such thing", map[string][]int{"a": {0}, "b": {0}, "c": {0}}, []string{"a", "b"}},
		{"what is gone is closed, what stays is kept", []string{"b", "c"}, none, map[string][]int{"a": {1}, "b": {0}, "c": {0, 0}}, []string{"b", "c"}},
		{"what comes back is made anew", []string{"a"}, none, map[string][]int{"a": {1, 0}, "b": {1}, "c": {0, 1}}, []string{"a"}},
	} {
		if err := in.Update(tt.cfgs, inputs.Settings{}); fmt.Sprint(err) != tt.fault {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.fault)
		}
		closed := map[string][]int{}
		for name, all := range made {
			for _, c := range all {
				closed[name] = append(closed[name], c.closed)
			}
		}
		if diff := cmp.Diff(tt.closed, closed); diff != "" {
			t.Errorf("%s: closed clients, -want +got:\n%s", tt.name, diff)
		}
		if have := slices.Sorted(maps.Keys(in.clients.now)); !slices.Equal(have, tt.have) {
			t.Errorf("%s: clients of %q are kept, want %q", tt.name, have, tt.have)
		}
		if n := len(in.Targets()); n != len(tt.have) {
			t.Errorf("%s: %d targets, want %d", tt.name, n, len(tt.have))
		}
	}
	if in.close(); made["a"][1].closed != 1 || made["a"][0].closed != 1 {
		t.Error("the end closes what is in use, and nothing twice")
	}
}
