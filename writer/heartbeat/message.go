package heartbeat

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
)

// Host is what a heartbeat says of this host beside its load.
type Host struct {
	Name    string            // equal to agent_hostname of the samples; not empty
	IP      string            // "" = the local address of the connection to Nightingale
	Labels  map[string]string // [global.labels]: Nightingale shows them as the host's tags
	Version string            // of kinglet, "v1.2.3-<commit>"
}

// message is a heartbeat as Nightingale reads it.
type message struct {
	AgentVersion string            `json:"agent_version"`
	OS           string            `json:"os"`
	Arch         string            `json:"arch"`
	Hostname     string            `json:"hostname"`
	CPUs         int               `json:"cpu_num"`
	CPUUtil      float64           `json:"cpu_util"`
	MemUtil      float64           `json:"mem_util"`
	GlobalLabels map[string]string `json:"global_labels"`
	HostIP       string            `json:"host_ip"`
	UnixTimeMs   int64             `json:"unixtime"`
}

// newMessage puts a heartbeat together.
func newMessage(h Host, l load, now time.Time) message {
	labels := maps.Clone(h.Labels)
	// An empty label is no label, and Nightingale would store the host's tags
	// again at every heartbeat.
	maps.DeleteFunc(labels, func(_, value string) bool { return value == "" })
	if labels == nil {
		labels = map[string]string{}
	}
	return message{
		AgentVersion: agentVersion(h.Version), OS: runtime.GOOS, Arch: runtime.GOARCH, Hostname: h.Name,
		CPUs: l.cpus, CPUUtil: l.cpuUtil, MemUtil: l.memUtil,
		GlobalLabels: labels, HostIP: h.IP, UnixTimeMs: now.UnixMilli(),
	}
}

// agentVersion tells kinglet from Categraf in the host list, and leaves the
// commit out.
func agentVersion(version string) string {
	short, _, _ := strings.Cut(version, "-")
	return "kinglet-" + short
}

// body is the message as it is sent: JSON, compressed with gzip.
func (m message) body() ([]byte, error) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if err := json.NewEncoder(w).Encode(m); err != nil {
		return nil, fmt.Errorf("encode the heartbeat: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("compress the heartbeat: %w", err)
	}
	return b.Bytes(), nil
}

// ipOf is the address that a connection's local end tells of this host. Where
// that is loopback, it is the first IPv4 address of an interface that is not.
func ipOf(local net.Addr) string {
	if at, err := netip.ParseAddrPort(local.String()); err == nil && !at.Addr().IsLoopback() {
		return at.Addr().Unmap().String()
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return "" // Nightingale shows the host without an address
	}
	for _, a := range addrs {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil && prefix.Addr().Is4() && !prefix.Addr().IsLoopback() {
			return prefix.Addr().String()
		}
	}
	return ""
}
