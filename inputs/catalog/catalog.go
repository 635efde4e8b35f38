// Package catalog is the list of inputs compiled into kinglet. Adding an input
// is a line in All; nothing registers itself.
package catalog

import (
	"fmt"
	"log/slog"
	"slices"

	prom "github.com/prometheus/client_golang/prometheus"

	"kinglet/inputs"
	"kinglet/inputs/kubelet"
	"kinglet/inputs/pods"
	"kinglet/inputs/prometheus"
	"kinglet/inputs/self"
)

// Entry is one input.
type Entry struct {
	// Name is what follows "input." in the name of its folder.
	Name string
	// Single says that the files of the folder are the configuration
	// themselves; otherwise it stands in their [[instances]] tables.
	Single bool
	// Default makes a pointer to a Config with every default set.
	Default func() any
	// New builds the input of all its instances, each made by Default and
	// valid. It starts nothing.
	New func(instances []any, s inputs.Settings, log *slog.Logger, reg prom.Registerer) (inputs.Input, error)
	// Update makes instances those of an Input that New made, while it runs;
	// targets that did not change are not touched. It is nil if the input has to
	// be replaced instead.
	Update func(input inputs.Input, instances []any, s inputs.Settings) error
	// Idle says why a valid instance scrapes nothing, or "". It may be nil.
	Idle func(instance any) string
	// Doubts lists what a valid instance says that has another effect than one
	// may expect, each fault under its TOML key. It may be nil.
	Doubts func(instance any) []error
	// Unsupported names keys of Categraf, in lower case, that the input does
	// not have, and what to do instead.
	Unsupported map[string]string
}

// All lists the inputs by name.
func All() []Entry {
	return []Entry{
		kubeletEntry(),
		entry(pods.Name, pods.DefaultConfig, pods.New, (*pods.Input).Update),
		prometheusEntry(),
		selfEntry(),
	}
}

// Lookup finds an input by its exact name.
func Lookup(name string) (Entry, bool) {
	all := All()
	i := slices.IndexFunc(all, func(e Entry) bool { return e.Name == name })
	if i < 0 {
		return Entry{}, false
	}
	return all[i], true
}

// Names are the names of the inputs.
func Names() []string {
	all := All()
	names := make([]string, len(all))
	for i, e := range all {
		names[i] = e.Name
	}
	return names
}

// entry makes the untyped functions of an Entry from an input's own. Update
// may be nil.
func entry[C any, I inputs.Input](name string, standard func() C,
	build func([]C, inputs.Settings, *slog.Logger, prom.Registerer) (I, error),
	update func(I, []C, inputs.Settings) error) Entry {
	e := Entry{
		Name: name,
		Default: func() any {
			c := standard()
			return &c
		},
		New: func(instances []any, s inputs.Settings, log *slog.Logger, reg prom.Registerer) (inputs.Input, error) {
			typed, err := typed[C](name, instances)
			if err != nil {
				return nil, err
			}
			return build(typed, s, log, reg)
		},
	}
	if update != nil {
		e.Update = func(input inputs.Input, instances []any, s inputs.Settings) error {
			typed, err := typed[C](name, instances)
			if err != nil {
				return err
			}
			own, ok := input.(I)
			if !ok {
				return fmt.Errorf("input %s cannot be updated: it is a %T", name, input)
			}
			return update(own, typed, s)
		}
	}
	return e
}

// typed are instances as the input's own functions take them.
func typed[C any](name string, instances []any) ([]C, error) {
	all := make([]C, len(instances))
	for i, instance := range instances {
		c, ok := instance.(*C)
		if !ok {
			return nil, fmt.Errorf("input %s takes no %T", name, instance)
		}
		all[i] = *c
	}
	return all, nil
}

func kubeletEntry() Entry {
	e := entry(kubelet.Name, kubelet.DefaultConfig, kubelet.New, (*kubelet.Input).Update)
	e.Idle = func(instance any) string {
		if c, ok := instance.(*kubelet.Config); ok && len(c.Pages) == 0 {
			return "has no pages, so it scrapes nothing"
		}
		return ""
	}
	e.Doubts = func(instance any) []error {
		if c, ok := instance.(*kubelet.Config); ok {
			return c.Doubts()
		}
		return nil
	}
	return e
}

func prometheusEntry() Entry {
	e := entry(prometheus.Name, prometheus.DefaultConfig, prometheus.New, (*prometheus.Input).Update)
	e.Idle = func(instance any) string {
		if c, ok := instance.(*prometheus.Config); ok && len(c.URLs) == 0 {
			return "has no urls, so it scrapes nothing"
		}
		return ""
	}
	e.Doubts = func(instance any) []error {
		if c, ok := instance.(*prometheus.Config); ok {
			return c.Doubts()
		}
		return nil
	}
	e.Unsupported = map[string]string{
		"consul": "kinglet does not ask Consul for targets, want them in urls",
	}
	return e
}

func selfEntry() Entry {
	e := entry(self.Name, self.DefaultConfig, func(
		instances []self.Config, s inputs.Settings, log *slog.Logger, reg prom.Registerer) (*self.Input, error) {
		if len(instances) != 1 {
			return nil, fmt.Errorf("input %s takes one configuration, not %d", self.Name, len(instances))
		}
		return self.New(instances[0], s, log, reg)
	}, nil)
	e.Single = true
	return e
}
