package pods

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kinglet"
	"kinglet/conf/unit"
	"kinglet/k8s"
)

// fakeNode is a node: its kubelet, an API server, and what its pods serve.
type fakeNode struct {
	mu      sync.Mutex
	pods    map[string]*k8s.Pod
	refuse  int  // status of every answer of the kubelet, if not 0
	watches int  // that the API server has
	noAPI   bool // it refuses too

	kubelet, api *httptest.Server
}

func newFakeNode(t *testing.T) *fakeNode {
	t.Helper()
	n := &fakeNode{pods: map[string]*k8s.Pod{}}
	n.kubelet = httptest.NewServer(http.HandlerFunc(n.serveKubelet))
	n.api = httptest.NewServer(http.HandlerFunc(n.serveAPI))
	t.Cleanup(n.kubelet.Close)
	t.Cleanup(n.api.Close)
	return n
}

func (n *fakeNode) change(edit func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	edit()
}

func (n *fakeNode) put(p *k8s.Pod) { n.change(func() { n.pods[p.Name] = p }) }

func (n *fakeNode) serveKubelet(w http.ResponseWriter, _ *http.Request) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.refuse != 0 {
		http.Error(w, "no", n.refuse)
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"items": n.items()})
}

// serveAPI lists, and watches without ever telling anything.
func (n *fakeNode) serveAPI(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	n.mu.Lock()
	q := r.URL.Query()
	switch {
	case n.noAPI:
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403}`)
	case q.Get("sendInitialEvents") != "":
		w.WriteHeader(http.StatusBadRequest)
	case q.Get("watch") != "":
		n.watches++
		n.mu.Unlock()
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		n.mu.Lock()
		n.watches--
	default:
		_ = json.NewEncoder(w).Encode(map[string]any{
			"kind": "PodList", "apiVersion": "v1", "metadata": map[string]string{"resourceVersion": "1"}, "items": n.items(),
		})
	}
	n.mu.Unlock()
}

// items are the pods as JSON has them. The caller holds n.mu.
func (n *fakeNode) items() []any {
	type object = map[string]any
	items := []any{}
	for _, p := range n.pods {
		var specs, statuses []object
		for _, c := range p.Containers {
			var ports []object
			for _, port := range c.Ports {
				ports = append(ports, object{"containerPort": port.Number, "protocol": port.Protocol})
			}
			specs = append(specs, object{"name": c.Name, "image": c.Image, "ports": ports})
			statuses = append(statuses, object{"name": c.Name, "containerID": c.ID, "state": object{"running": object{}}})
		}
		annotations := object{"kubernetes.io/config.source": "api"}
		for name, value := range p.Annotations {
			annotations[name] = value
		}
		items = append(items, object{
			"metadata": object{"namespace": p.Namespace, "name": p.Name, "uid": p.UID, "labels": p.Labels, "annotations": annotations},
			"spec":     object{"nodeName": p.Node, "containers": specs, "hostNetwork": p.HostNetwork},
			"status":   object{"phase": p.Phase, "podIP": p.IP, "hostIP": p.HostIP, "containerStatuses": statuses},
		})
	}
	return items
}

// config asks this node, often.
func (n *fakeNode) config() Config {
	cfg := DefaultConfig()
	cfg.KubeletURL, cfg.APIURL, cfg.NodeName = n.kubelet.URL, n.api.URL, "node1"
	cfg.PollInterval = unit.Duration{Duration: minPoll}
	cfg.Interval = unit.Duration{Duration: 200 * time.Millisecond}
	return cfg
}

// page is a pod's server.
type page struct {
	*httptest.Server
	hits atomic.Int64
}

func servePage(t *testing.T) *page {
	t.Helper()
	p := &page{}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		p.hits.Add(1)
		fmt.Fprintln(w, "things_total 1")
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *page) port(t *testing.T) int {
	t.Helper()
	u, err := url.Parse(p.URL)
	if err != nil {
		t.Fatal(err)
	}
	_, text, err := net.SplitHostPort(u.Host)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// pod is one that the page is served by.
func (p *page) pod(t *testing.T, name string) *k8s.Pod {
	t.Helper()
	return running(name, at("127.0.0.1"), containers(container("c", p.port(t))))
}

// store keeps the last value of each series, and how many there were.
type store struct {
	mu     sync.Mutex
	values map[string]float64
	times  map[string][]int64
}

func newStore() *store { return &store{values: map[string]float64{}, times: map[string][]int64{}} }

func (s *store) Push(_ context.Context, rows ...*kinglet.Row) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range rows {
		for i, v := range r.Values {
			if kinglet.IsAbsent(v) {
				continue
			}
			name, pod := "", ""
			for _, l := range r.Shape.AppendLabels(nil, i) {
				switch l.Name {
				case kinglet.MetricNameLabel:
					name = l.Value
				case "pod":
					pod = l.Value
				}
			}
			key := name + " " + pod
			s.values[key] = v
			s.times[key] = append(s.times[key], r.TimestampMs)
		}
	}
	return nil
}

func (s *store) last(name, pod string) (value float64, samples int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	value, there := s.values[name+" "+pod]
	if !there {
		return kinglet.Absent(), 0
	}
	return value, len(s.times[name+" "+pod])
}

func (s *store) up(pod string) bool {
	v, _ := s.last("up", pod)
	return v == 1
}

func (s *store) ended(pod string) bool {
	up, _ := s.last("up", pod)
	own, _ := s.last("things_total", pod)
	return kinglet.IsStale(up) && kinglet.IsStale(own)
}
