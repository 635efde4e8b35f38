package prometheus

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"kinglet"
)

// parseURL reads one entry of urls. An empty path becomes /metrics. Errors do
// not show the URL, which may hold a password.
func parseURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil && strings.Contains(raw, "://"):
		return nil, errors.New("is no URL: want http://HOST:PORT/PATH or https://HOST:PORT/PATH")
	case err != nil || (u.Scheme != "http" && u.Scheme != "https"):
		return nil, errors.New("has no scheme: want http://HOST:PORT/PATH or https://HOST:PORT/PATH")
	case u.Hostname() == "":
		return nil, errors.New("has no host: want http://HOST:PORT/PATH or https://HOST:PORT/PATH")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return nil, fmt.Errorf("has port %s: want 1 to 65535", port)
		}
	}
	if u.Path == "" {
		u.Path = "/metrics"
	}
	return u, nil
}

// fields are what a template can use.
type fields struct{ Scheme, Host, Hostname, Port, Path, Query, Fragment string }

func fieldsOf(u *url.URL) fields {
	return fields{u.Scheme, u.Host, u.Hostname(), u.Port(), u.Path, u.RawQuery, u.Fragment}
}

// urlLabels are the labels that a target gets from its URL, sorted: first
// url_label_key, over which url_label_pair wins. Name and password of the URL
// are in none of them.
func (m *compiled) urlLabels(key string, u *url.URL) ([]kinglet.Label, error) {
	values := map[string]string{}
	if key != "" && key != "-" {
		values[key] = bare(u)
		if m.urlValue != nil {
			text, err := render(m.urlValue, u)
			if err != nil {
				return nil, err
			}
			values[key] = text
		}
	}
	for name, t := range m.urlPairs {
		text, err := render(t, u)
		if err != nil {
			return nil, err
		}
		if strings.TrimSpace(text) != "" {
			values[name] = text
		}
	}
	return sortedLabels(values), nil
}

// sortedLabels are values as labels, by name.
func sortedLabels(values map[string]string) []kinglet.Label {
	labels := make([]kinglet.Label, 0, len(values))
	for _, name := range slices.Sorted(maps.Keys(values)) {
		labels = append(labels, kinglet.Label{Name: name, Value: values[name]})
	}
	return labels
}

func render(t *template.Template, u *url.URL) (string, error) {
	var text strings.Builder
	if err := t.Execute(&text, fieldsOf(u)); err != nil {
		return "", fmt.Errorf("%s: %w", t.Name(), err)
	}
	return text.String(), nil
}
