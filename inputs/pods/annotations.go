package pods

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"kinglet/k8s"
)

// Bounds of what an annotation can ask for.
const (
	maxPathBytes      = 2048
	maxAnnotatedPorts = 32
)

// metricsPath is where metrics are if nothing else is said.
const metricsPath = "/metrics"

// wish is what a pod's annotations ask for.
type wish struct {
	scrape string // as it stands; "" if it is not there
	ports  []int  // nil if nothing is said
	scheme string
	path   string // with a leading /
	query  string // without the ?
}

// annotated reads the annotations of a pod that begin with the prefix. What
// they say ends up in a URL, so nothing passes here that could change its host.
func annotated(pod *k8s.Pod, prefix string) (wish, error) {
	w := wish{scheme: "http", path: metricsPath}
	get := func(name string) (value string, there bool) {
		value, there = pod.Annotations[prefix+"/"+name]
		return strings.TrimSpace(value), there
	}
	w.scrape, _ = get("scrape")
	var faults []error
	fault := func(name, value, want string) {
		faults = append(faults, fmt.Errorf("annotation %s/%s = %q: want %s", prefix, name, shortened(value), want))
	}
	if value, there := get("port"); there {
		ports, ok := portList(value)
		if !ok {
			fault("port", value, fmt.Sprintf("a port from 1 to 65535, or up to %d of them with commas between", maxAnnotatedPorts))
		}
		w.ports = ports
	}
	if value, there := get("scheme"); there {
		if w.scheme = strings.ToLower(value); w.scheme != "http" && w.scheme != "https" {
			fault("scheme", value, "http or https")
		}
	}
	if value, there := get("path"); there {
		path, query, err := splitPath(value)
		if err != nil {
			fault("path", value, err.Error())
		}
		w.path, w.query = path, query
	}
	return w, errors.Join(faults...)
}

// portList reads ports with commas or spaces between them, each once.
func portList(text string) (ports []int, ok bool) {
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' }) {
		port, ok := parsePort(word)
		if !ok {
			return nil, false
		}
		if !slices.Contains(ports, port) {
			ports = append(ports, port)
		}
	}
	return ports, len(ports) > 0 && len(ports) <= maxAnnotatedPorts
}

// parsePort reads digits alone: no sign, no name, no 0.
func parsePort(text string) (port int, ok bool) {
	if strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	port, err := strconv.Atoi(text)
	return port, err == nil && port >= 1 && port <= 65535
}

// splitPath takes a path with a query apart. Errors say what is wanted.
func splitPath(text string) (path, query string, err error) {
	const want = "a path such as /metrics or /probe?module=x"
	switch {
	case len(text) > maxPathBytes:
		return metricsPath, "", fmt.Errorf("at most %d bytes", maxPathBytes)
	case !strings.HasPrefix(text, "/"), strings.HasPrefix(text, "//"):
		return metricsPath, "", errors.New(want + ", with one / in front")
	case strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '\\' || r == '#' }):
		return metricsPath, "", errors.New(want + ", without spaces, \\ and #")
	}
	u, err := url.ParseRequestURI(text)
	if err != nil || u.Host != "" || u.Scheme != "" || u.User != nil || u.Path == "" {
		return metricsPath, "", errors.New(want)
	}
	return u.EscapedPath(), u.RawQuery, nil
}

// shortened bounds text of a pod in messages.
func shortened(text string) string {
	const limit = 80
	if len(text) > limit {
		text = text[:limit] + "..."
	}
	return strings.ToValidUTF8(text, "?")
}
