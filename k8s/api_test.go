package k8s

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// fakeAPI is an API server with the pods of some nodes.
type fakeAPI struct {
	mu       sync.Mutex
	pods     map[string]string // by namespace/name, their JSON without a version
	version  int
	watches  map[chan string]string // events of a watch, its namespace
	past     []pastEvent
	requests []*http.Request

	refuse    int           // status of every answer, if not 0
	refuseFor string        // only for this namespace
	slow      time.Duration // before a list
	streams   bool          // it can send a list as a watch
	hold      bool          // events are lost
}

// pastEvent is what a watch from an older version is to be told.
type pastEvent struct {
	version         int
	namespace, text string
}

func newFakeAPI(t *testing.T) (*fakeAPI, *httptest.Server) {
	t.Helper()
	f := &fakeAPI{pods: map[string]string{}, version: 100, watches: map[chan string]string{}}
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	t.Cleanup(func() { f.endWatches("") }) // before Close waits for them
	return f, s
}

// apiPodJSON is a pod of node1, Running at ip.
func apiPodJSON(namespace, name, ip string) string {
	return fmt.Sprintf(`"metadata":{"namespace":%q,"name":%q,"uid":"uid-%s","annotations":{"a":"b"},"resourceVersion":"VERSION"},`+
		`"spec":{"nodeName":"node1"},"status":{"phase":"Running","podIP":%q}`, namespace, name, name, ip)
}

func (f *fakeAPI) set(namespace, name, ip string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	kind := "ADDED"
	if _, there := f.pods[namespace+"/"+name]; there {
		kind = "MODIFIED"
	}
	f.pods[namespace+"/"+name] = apiPodJSON(namespace, name, ip)
	f.version++
	f.tell(kind, namespace, f.pods[namespace+"/"+name])
}

func (f *fakeAPI) remove(namespace, name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	pod := f.pods[namespace+"/"+name]
	delete(f.pods, namespace+"/"+name)
	f.version++
	f.tell("DELETED", namespace, pod)
}

// tell sends an event to the watches. The caller holds f.mu.
func (f *fakeAPI) tell(kind, namespace, pod string) {
	if f.hold {
		return
	}
	event := pastEvent{f.version, namespace, f.event(kind, pod)}
	f.past = append(f.past, event)
	for events, of := range f.watches {
		if of == "" || of == namespace {
			events <- event.text
		}
	}
}

func (f *fakeAPI) event(kind, pod string) string {
	return fmt.Sprintf(`{"type":%q,"object":{"kind":"Pod","apiVersion":"v1",%s}}`, kind, strings.ReplaceAll(pod, "VERSION", fmt.Sprint(f.version)))
}

// endWatches ends every watch, with a last event if there is one.
func (f *fakeAPI) endWatches(last string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for events := range f.watches {
		if last != "" {
			events <- last
		}
		close(events)
		delete(f.watches, events)
	}
}

func (f *fakeAPI) change(edit func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	edit()
}

// seen are the requests so far, as "list" or "watch" and their path.
func (f *fakeAPI) seen() (all []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.requests {
		kind := "list "
		if r.URL.Query().Get("watch") != "" {
			kind = "watch "
		}
		all = append(all, kind+r.URL.Path)
	}
	return all
}

func (f *fakeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	namespace := ""
	if rest, ok := strings.CutPrefix(r.URL.Path, "/api/v1/namespaces/"); ok {
		namespace = strings.TrimSuffix(rest, "/pods")
	}
	f.mu.Lock()
	f.requests = append(f.requests, r.Clone(context.Background()))
	refuse, slow := f.refuse, f.slow
	if f.refuseFor != "" && f.refuseFor != namespace {
		refuse = 0
	}
	f.mu.Unlock()
	q := r.URL.Query()
	watching := q.Get("watch") != ""
	if !f.streams && q.Get("sendInitialEvents") == "true" && refuse == 0 {
		refuse = http.StatusBadRequest
	}
	if refuse != 0 {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(refuse)
		reason := map[int]string{403: "Forbidden", 401: "Unauthorized", 410: "Expired", 400: "BadRequest"}[refuse]
		fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":%q,"code":%d,"message":"pods is forbidden: not you"}`, reason, refuse)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if watching {
		f.watch(w, r, namespace)
		return
	}
	select {
	case <-time.After(slow):
	case <-r.Context().Done():
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	items := []json.RawMessage{}
	for key, pod := range f.pods {
		if namespace == "" || strings.HasPrefix(key, namespace+"/") {
			items = append(items, json.RawMessage("{"+strings.ReplaceAll(pod, "VERSION", fmt.Sprint(f.version))+"}"))
		}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{
		"kind": "PodList", "apiVersion": "v1", "metadata": map[string]string{"resourceVersion": fmt.Sprint(f.version)}, "items": items,
	})
}

func (f *fakeAPI) watch(w http.ResponseWriter, r *http.Request, namespace string) {
	events := make(chan string, 100)
	f.mu.Lock()
	if r.URL.Query().Get("sendInitialEvents") == "true" {
		for key, pod := range f.pods {
			if namespace == "" || strings.HasPrefix(key, namespace+"/") {
				events <- f.event("ADDED", pod)
			}
		}
		events <- fmt.Sprintf(`{"type":"BOOKMARK","object":{"kind":"Pod","apiVersion":"v1","metadata":{"resourceVersion":"%d","annotations":{"k8s.io/initial-events-end":"true"}}}}`, f.version)
	}
	if from, err := strconv.Atoi(r.URL.Query().Get("resourceVersion")); err == nil {
		for _, event := range f.past {
			if event.version > from && (namespace == "" || namespace == event.namespace) {
				events <- event.text
			}
		}
	}
	f.watches[events] = namespace
	f.mu.Unlock()
	_ = http.NewResponseController(w).Flush()
	for {
		select {
		case <-r.Context().Done():
			f.mu.Lock()
			delete(f.watches, events)
			f.mu.Unlock()
			return
		case event, ok := <-events:
			if !ok {
				return
			}
			fmt.Fprintln(w, event)
			_ = http.NewResponseController(w).Flush()
		}
	}
}

// watched is what a PodWatch tells.
type watched struct {
	mu        sync.Mutex
	pods      []string // "shop/a 10.0.0.1"
	delivered int
	fault     string
	faults    []string
	stop      context.CancelFunc
	ended     chan error
}

// runWatch runs a PodWatch until the test ends.
func runWatch(t *testing.T, cfg APIConfig, namespaces ...string) *watched {
	t.Helper()
	w, err := NewPodWatch(cfg, Node{Name: "node1"}, namespaces, Fields{}, "kinglet/test", noEnv, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	got := &watched{stop: stop, ended: make(chan error, 1)}
	go func() { got.ended <- w.Run(ctx, got.deliver, got.failed) }()
	t.Cleanup(func() {
		stop()
		if err := <-got.ended; err != nil {
			t.Error(err)
		}
	})
	return got
}

func noEnv(string) (string, bool) { return "", false }

func (w *watched) deliver(pods []*Pod) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.delivered++
	w.pods = nil
	for _, p := range pods {
		w.pods = append(w.pods, p.Key()+" "+p.IP)
	}
}

func (w *watched) failed(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fault = message(err); w.fault != "" {
		w.faults = append(w.faults, w.fault)
	}
}

// wait waits until these are the pods.
func (w *watched) wait(t *testing.T, want ...string) {
	t.Helper()
	w.until(t, func() bool { return w.delivered > 0 && slices.Equal(w.pods, want) })
}

func (w *watched) until(t *testing.T, fine func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		w.mu.Lock()
		ok, pods, fault := fine(), w.pods, w.fault
		w.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("still %q, fault %q", pods, fault)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func TestWatchFollowsThePods(t *testing.T) {
	for name, streams := range map[string]bool{"a server that lists": false, "a server that streams lists": true} {
		t.Run(name, func(t *testing.T) {
			f, s := newFakeAPI(t)
			f.streams = streams
			f.set("shop", "a", "10.0.0.1")
			w := runWatch(t, APIConfig{URL: s.URL})
			w.wait(t, "shop/a 10.0.0.1")
			f.set("shop", "b", "")
			w.wait(t, "shop/a 10.0.0.1", "shop/b ")
			f.set("shop", "b", "10.0.0.2")
			w.wait(t, "shop/a 10.0.0.1", "shop/b 10.0.0.2")
			f.remove("shop", "a")
			w.wait(t, "shop/b 10.0.0.2")
			for _, r := range f.requests {
				if r.URL.Path != "/api/v1/pods" || r.URL.Query().Get("fieldSelector") != "spec.nodeName=node1" ||
					r.Method != http.MethodGet || r.UserAgent() != "kinglet/test" {
					t.Errorf("%s %s by %s", r.Method, r.URL, r.UserAgent())
				}
			}
		})
	}
}

func TestWatchOfNoPodsIsAnAnswer(t *testing.T) {
	_, s := newFakeAPI(t)
	runWatch(t, APIConfig{URL: s.URL}).wait(t)
}

// TestExpiredWatchListsAgain: what was deleted while the events were lost is
// gone after 410 Gone.
func TestExpiredWatchListsAgain(t *testing.T) {
	f, s := newFakeAPI(t)
	f.set("shop", "a", "10.0.0.1")
	f.set("shop", "b", "10.0.0.2")
	w := runWatch(t, APIConfig{URL: s.URL})
	w.wait(t, "shop/a 10.0.0.1", "shop/b 10.0.0.2")
	f.change(func() { f.hold = true })
	f.remove("shop", "a")
	f.set("shop", "c", "10.0.0.3")
	f.change(func() { f.hold = false })
	f.endWatches(`{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Expired","code":410,"message":"too old resource version"}}`)
	w.wait(t, "shop/b 10.0.0.2", "shop/c 10.0.0.3")
}

// TestEndedWatchGoesOn: each watch ends after some minutes, and every restart of
// the API server ends all.
func TestEndedWatchGoesOn(t *testing.T) {
	f, s := newFakeAPI(t)
	f.set("shop", "a", "10.0.0.1")
	w := runWatch(t, APIConfig{URL: s.URL})
	w.wait(t, "shop/a 10.0.0.1")
	f.endWatches("")
	f.set("shop", "b", "10.0.0.2")
	f.set("shop", "c", "10.0.0.3")
	w.wait(t, "shop/a 10.0.0.1", "shop/b 10.0.0.2", "shop/c 10.0.0.3")
}

func TestForbiddenWatchSaysWhatItNeeds(t *testing.T) {
	f, s := newFakeAPI(t)
	f.set("shop", "a", "10.0.0.1")
	f.refuse = http.StatusForbidden
	w := runWatch(t, APIConfig{URL: s.URL})
	const want = "the API server refuses the pods of this node: its ClusterRole needs the verbs list and watch on pods: "
	w.until(t, func() bool { return strings.HasPrefix(w.fault, want) && strings.HasSuffix(w.fault, "not you") })
	if w.delivered > 0 {
		t.Error("pods were told that nobody knows")
	}
	f.change(func() { f.refuse = 0 }) // the ClusterRole was given
	w.wait(t, "shop/a 10.0.0.1")
	w.until(t, func() bool { return w.fault == "" })
}

func TestWatchOfNamespacesAsksForNoMore(t *testing.T) {
	f, s := newFakeAPI(t)
	f.set("shop", "a", "10.0.0.1")
	f.set("team", "b", "10.0.0.2")
	f.set("other", "c", "10.0.0.3")
	f.refuse, f.refuseFor = http.StatusForbidden, "team"
	w := runWatch(t, APIConfig{URL: s.URL}, "shop", "team")
	w.until(t, func() bool {
		return strings.Contains(w.fault, "its Role in team needs the verbs list and watch on pods")
	})
	if w.delivered > 0 {
		t.Error("half of the pods were told")
	}
	f.change(func() { f.refuse = 0 })
	w.wait(t, "shop/a 10.0.0.1", "team/b 10.0.0.2")
	for _, seen := range f.seen() {
		if !strings.HasSuffix(seen, "/namespaces/shop/pods") && !strings.HasSuffix(seen, "/namespaces/team/pods") {
			t.Errorf("asked for %s", seen)
		}
	}
}

func TestSlowListHoldsNothingUp(t *testing.T) {
	f, s := newFakeAPI(t)
	f.slow = time.Hour
	w := runWatch(t, APIConfig{URL: s.URL})
	w.until(t, func() bool { return slices.Contains(f.seen(), "list /api/v1/pods") })
	w.stop()
	select {
	case err := <-w.ended:
		w.ended <- err
	case <-time.After(5 * time.Second):
		t.Fatal("the watch does not end while a list is on its way")
	}
}

func TestWatchShowsItsTokenToTheAPIServerAlone(t *testing.T) {
	cluster := newAuthority(t, "cluster")
	var mu sync.Mutex
	var tokens []string
	s := serve(t, cluster.issue(t, "kubernetes", []byte{127, 0, 0, 1}), func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		tokens = append(tokens, r.Header.Get("Authorization"))
		http.Error(w, "no", http.StatusUnauthorized)
	})
	w := runWatch(t, APIConfig{URL: s.URL, TokenFile: tokenIn(t, "secret"), CAFile: cluster.file})
	w.until(t, func() bool { return strings.Contains(w.fault, "check api_token_file") })
	w.stop()
	mu.Lock()
	if len(tokens) == 0 || tokens[0] != "Bearer secret" {
		t.Errorf("%q", tokens)
	}
	asked := len(tokens)
	mu.Unlock()
	other := runWatch(t, APIConfig{URL: s.URL, TokenFile: tokenIn(t, "secret"), CAFile: newAuthority(t, "stranger").file})
	other.until(t, func() bool { return strings.Contains(other.fault, "certificate") })
	mu.Lock()
	defer mu.Unlock()
	if len(tokens) != asked {
		t.Error("a stranger was given the token")
	}
}

func TestNewPodWatchSaysWhatIsMissing(t *testing.T) {
	env := func(name string) (string, bool) {
		v, ok := map[string]string{"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}[name]
		return v, ok
	}
	for _, tt := range []struct {
		name   string
		cfg    APIConfig
		node   string
		lookup func(string) (string, bool)
		want   string
	}{
		{"in a pod", DefaultAPIConfig(), "node1", env, "https://[fd00::1]:443"},
		{"not in a pod", DefaultAPIConfig(), "node1", noEnv, "there is no API server to be asked: kinglet does not run in a pod, want api_url"},
		{"no node", DefaultAPIConfig(), "", env, ErrNoNode.Error()},
		{"a bad address", APIConfig{URL: "kubernetes"}, "node1", env, "api_url: want https://HOST:PORT"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, err := NewPodWatch(tt.cfg, Node{Name: tt.node}, nil, Fields{}, "", tt.lookup, slog.New(slog.DiscardHandler))
			got := message(err)
			if err == nil {
				got = w.config.Host
			}
			if got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

// TestPodsAreTheSameFromBothSources reads a recorded watch, and the kubelet's
// answer of the same moment.
func TestPodsAreTheSameFromBothSources(t *testing.T) {
	if _, err := os.Stat("testdata/api-pods.json.gz"); err != nil {
		t.Fatal(err)
	}
	var list struct{ Items []apiPod }
	if err := json.Unmarshal(recorded(t, "api-pods.json.gz"), &list); err != nil {
		t.Fatal(err)
	}
	l, _ := lister(t, string(recorded(t, "kubelet-pods.json.gz")), Fields{})
	kubelets, _ := mustPods(t, l)
	byKey := map[string]*Pod{}
	for _, p := range kubelets {
		byKey[p.Key()] = p
	}
	compared := 0
	for i := range list.Items {
		p := list.Items[i].pod(Fields{})
		if other := byKey[p.Key()]; other != nil {
			compared++
			if diff := cmp.Diff(other, p); diff != "" {
				t.Errorf("%s (-kubelet +API server):\n%s", p.Key(), diff)
			}
		}
	}
	if compared == 0 {
		t.Error("no pod is in both")
	}
}
