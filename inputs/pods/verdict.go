package pods

import (
	"maps"
	"slices"
	"time"

	"kinglet/inputs"
)

// Report is what the input knows of this node's pods, and what it made of each.
type Report struct {
	Sources []SourceReport `json:"sources"`
	Pods    []Verdict      `json:"pods"` // by namespace, pod, container, port
}

// SourceReport tells how the pods were found.
type SourceReport struct {
	Node    string    `json:"node"`             // "" if its name is not known
	Source  string    `json:"source"`           // "kubelet" or "api"; "" before the first answer
	Pods    int       `json:"pods"`             // on the node
	Updated time.Time `json:"updated,omitzero"` // when the pods were last known to be these
	Error   string    `json:"error,omitempty"`  // of the last try; what to change
	// KubeletRefuses is why the API server is asked in place of the kubelet; "" if
	// it is not, or was asked for.
	KubeletRefuses string `json:"kubelet_refuses,omitempty"`
}

// Verdict says of one port of a pod, or of a pod as a whole, that it is scraped
// and how that goes, or why it is not and what to change.
type Verdict struct {
	Instance  int    `json:"instance"` // the [[instances]] table, counted from 1 over all files
	Namespace string `json:"namespace"`
	Pod       string `json:"pod"`
	Container string `json:"container,omitempty"`
	Port      int    `json:"port,omitempty"` // 0 = the pod as a whole
	Phase     string `json:"phase,omitempty"`
	IP        string `json:"ip,omitempty"`

	Scraped bool   `json:"scraped"`
	Code    Code   `json:"code"`   // ReasonScraped, or why not
	Reason  string `json:"reason"` // the same for people: why, and what to change

	URL        string            `json:"url,omitempty"`
	Labels     map[string]string `json:"labels,omitempty"`
	Health     string            `json:"health,omitempty"` // of what is scraped: "up", "down", "unknown"
	Error      string            `json:"error,omitempty"`  // of the last scrape
	LastScrape time.Time         `json:"last_scrape,omitzero"`
	Samples    int               `json:"samples,omitempty"`
}

// Code is a verdict in a word.
type Code string

// What can be said of a pod or one of its ports.
const (
	Scraped       Code = "scraped"
	NoAnnotation  Code = "no_annotation"  // it is not asked for
	Declined      Code = "declined"       // its annotation says no
	BadAnnotation Code = "bad_annotation" // its annotation cannot be followed
	Namespace     Code = "namespace"      // namespaces
	Selector      Code = "label_selector"
	Phase         Code = "phase" // finished, or not begun
	NoAddress     Code = "no_address"
	NoPort        Code = "no_port"   // nothing says which
	PortName      Code = "port_name" // port_names
	Protocol      Code = "protocol"  // not TCP
	InitContainer Code = "init_container"
	Relabel       Code = "relabel" // a rule drops it, or leaves no address
	Limit         Code = "target_limit"
	Duplicate     Code = "duplicate"
)

// codes are all of them, for metrics that show what is 0.
func codes() []Code {
	return []Code{
		Scraped, NoAnnotation, Declined, BadAnnotation, Namespace, Selector, Phase, NoAddress, NoPort, PortName, Protocol,
		InitContainer, Relabel, Limit, Duplicate,
	}
}

// withHealth adds to verdicts how the scrapes go.
func withHealth(verdicts []Verdict, targets []inputs.Target) []Verdict {
	verdicts = slices.Clone(verdicts)
	byURL := make(map[string][]*inputs.Target, len(targets))
	for i := range targets {
		byURL[targets[i].URL] = append(byURL[targets[i].URL], &targets[i])
	}
	for i := range verdicts {
		v := &verdicts[i]
		if !v.Scraped {
			continue
		}
		v.Health = "unknown"
		for _, t := range byURL[v.URL] {
			if !maps.Equal(t.Labels, v.Labels) || t.LastScrape.IsZero() {
				continue
			}
			v.Health, v.Error, v.LastScrape, v.Samples = "down", t.Error, t.LastScrape, t.Samples
			if t.Up {
				v.Health = "up"
			}
		}
	}
	return verdicts
}
