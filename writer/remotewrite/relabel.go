package remotewrite

import (
	"fmt"
	"slices"
	"strings"

	"kinglet"
	"kinglet/conf/relabel"
)

// Relabeler compiles write_relabel_configs; it is nil if there are none. The
// error joins every fault, each naming its rule (RW-141).
func (c Config) Relabeler() (Relabeler, error) {
	if len(c.WriteRelabelConfigs) == 0 {
		return nil, nil
	}
	rules, err := relabel.Compile(c.WriteRelabelConfigs)
	if err != nil {
		return nil, err
	}
	return relabeling{rules}, nil
}

// RelabelText is equal for writers whose rules do the same.
func (c Config) RelabelText() string {
	var text strings.Builder
	for _, rule := range c.WriteRelabelConfigs {
		fmt.Fprintln(&text, rule)
	}
	return text.String()
}

func (c Config) relabelFaults() (faults []error) {
	_, err := c.Relabeler()
	if list, ok := err.(interface{ Unwrap() []error }); ok { //nolint:errorlint // the list itself is wanted, not one within
		for _, fault := range list.Unwrap() {
			faults = append(faults, fmt.Errorf("write_relabel_configs: %w", fault))
		}
	}
	return faults
}

// relabeling is compiled rules as a Relabeler.
type relabeling struct{ rules *relabel.Rules }

// Process also takes away labels that rules made for their own use (RW-33).
func (r relabeling) Process(labels []kinglet.Label) (result []kinglet.Label, keep bool) {
	labels, keep = r.rules.Process(labels)
	if !keep {
		return nil, false
	}
	labels = slices.DeleteFunc(labels, func(l kinglet.Label) bool {
		return strings.HasPrefix(l.Name, "__") && l.Name != kinglet.MetricNameLabel
	})
	slices.SortFunc(labels, func(a, b kinglet.Label) int { return strings.Compare(a.Name, b.Name) })
	return labels, true
}
