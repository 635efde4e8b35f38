package catalog

import (
	"log/slog"
	"slices"
	"testing"
	"time"

	prom "github.com/prometheus/client_golang/prometheus"

	"kinglet/inputs"
)

func TestEveryInputIsBuiltFromItsDefaults(t *testing.T) {
	settings := inputs.Settings{
		Hostname: "h", Interval: 15 * time.Second, Precision: time.Millisecond, MaxColumns: 1000, UserAgent: "kinglet/test",
	}
	for _, e := range All() {
		t.Run(e.Name, func(t *testing.T) {
			config := e.Default()
			if err := config.(interface{ Validate() error }).Validate(); err != nil {
				t.Errorf("the default is not valid: %v", err)
			}
			if e.Default() == config {
				t.Error("two defaults are one")
			}
			input, err := e.New([]any{config}, settings, slog.New(slog.DiscardHandler), prom.NewRegistry())
			if err != nil {
				t.Fatal(err)
			}
			if e.Update != nil {
				if err := e.Update(input, []any{e.Default(), e.Default()}, settings); err != nil {
					t.Error(err)
				}
				if err := e.Update(nil, []any{config}, settings); err == nil {
					t.Error("no error for an input of another kind")
				}
			}
			if _, err := e.New([]any{"text"}, settings, slog.New(slog.DiscardHandler), prom.NewRegistry()); err == nil {
				t.Error("no error for a configuration of another kind")
			}
		})
	}
}

func TestInputsAreFoundByTheirExactName(t *testing.T) {
	if _, ok := Lookup("prometheus"); !ok {
		t.Error("no prometheus")
	}
	for _, name := range []string{"Prometheus", "prometheus-foo", "", "cpu"} {
		if e, ok := Lookup(name); ok {
			t.Errorf("%q is %s", name, e.Name)
		}
	}
	if names := Names(); !slices.IsSorted(names) {
		t.Errorf("names are not sorted: %v", names)
	}
}
