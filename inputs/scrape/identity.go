package scrape

import (
	"maps"
	"slices"
	"strings"
)

// Key tells targets apart, as a Target's does: by host, URL, and the labels that
// the configuration gives their series. The URL is one without credentials.
func (c LabelConfig) Key(url string) string {
	parts := []string{c.Hostname, url}
	for _, l := range c.Target {
		parts = append(parts, l.Name, l.Value)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Instance)) {
		parts = append(parts, name, c.Instance[name])
	}
	return strings.Join(parts, "\xff")
}

// Shown are the labels that identify a target on status pages.
func (c LabelConfig) Shown() map[string]string {
	shown := map[string]string{}
	for _, l := range c.Target {
		shown[l.Name] = l.Value
	}
	for name, value := range c.Instance {
		if value == "-" {
			delete(shown, name)
			continue
		}
		shown[name] = value
	}
	return shown
}
