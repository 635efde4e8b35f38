//go:build e2e

package nightingale

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang/snappy"
	"github.com/prometheus/prometheus/prompb"
)

// settings of a simulator, by the names that Nightingale's own have.
type settings struct {
	forceUseServerTS bool // as shipped
	labelRewrite     bool // as shipped
	queueMaxSize     int  // series; above it writes are answered 499
}

// shipped are the settings of Nightingale's sample, but for a queue that a test
// can fill.
var shipped = settings{forceUseServerTS: true, labelRewrite: true, queueMaxSize: 200}

// simulator is a Nightingale: it takes remote write, hands the series on to a
// store, and keeps a list of hosts.
type simulator struct {
	*httptest.Server
	settings settings

	mu       sync.Mutex
	password string // of the user "agent"; "" = anybody may write
	offline  bool   // connections are cut without an answer
	stalled  bool   // the store takes nothing
	queue    []prompb.TimeSeries
	stored   map[string][]sample // by labels
	requests []request
	hosts    map[string]host
	answer   string   // to heartbeats
	strays   []string // requests for anything else
}

// sample is one stored sample.
type sample struct {
	ms    int64
	value float64
}

// request is one request to write that was answered.
type request struct {
	status int
	series int
	most   int    // samples of its series with the most
	proto  string // content type
}

// host is what a heartbeat said, and when it came.
type host struct {
	fields map[string]any
	at     time.Time
	beats  int
	client http.Header
}

func newSimulator(t *testing.T, s settings) *simulator {
	t.Helper()
	n := &simulator{settings: s, stored: map[string][]sample{}, hosts: map[string]host{}, answer: `{"dat":null,"err":""}`}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /prometheus/v1/write", n.write)
	mux.HandleFunc("POST /v1/n9e/heartbeat", n.heartbeat)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.strays = append(n.strays, r.Method+" "+r.URL.Path)
		http.NotFound(w, r)
	})
	n.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.mu.Lock()
		offline, allowed := n.offline, n.allows(r)
		n.mu.Unlock()
		switch {
		case offline:
			panic(http.ErrAbortHandler) // the connection is cut
		case !allowed:
			http.Error(w, "unauthorized", http.StatusUnauthorized)
		default:
			mux.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(n.Close)
	return n
}

// allows reports whether a request has the credentials, if any are wanted.
func (n *simulator) allows(r *http.Request) bool {
	user, password, _ := r.BasicAuth()
	return n.password == "" || user == "agent" && password == n.password
}

// write is POST /prometheus/v1/write. It looks at no header: a body is a snappy
// block of a 1.0 message, or it is refused. One that has no field of a 1.0
// message, such as that of a 2.0 one, is answered 200 and forgotten.
func (n *simulator) write(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<20))
	n.mu.Lock()
	defer n.mu.Unlock()
	done := request{status: http.StatusOK, proto: r.Header.Get("Content-Type")}
	defer func() { n.requests = append(n.requests, done) }()
	refuse := func(status int, text string) {
		done.status = status
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}
	if len(n.queue) > n.settings.queueMaxSize {
		refuse(499, fmt.Sprintf("write queue full, metric count over limit: %d", len(n.queue)))
		return
	}
	if err == nil {
		body, err = snappy.Decode(nil, body)
	}
	var message prompb.WriteRequest
	if err == nil {
		err = message.Unmarshal(body)
	}
	if err != nil {
		refuse(http.StatusBadRequest, err.Error())
		return
	}
	done.series, done.most = len(message.Timeseries), mostSamples(message.Timeseries)
	for _, series := range message.Timeseries {
		if hasDuplicateNames(series.Labels) {
			continue // not stored, and nobody is told
		}
		n.label(&series)
		n.queue = append(n.queue, series)
	}
	n.forward()
}

// mostSamples is how many samples the series has that has the most of them in
// one message, wherever in the message they stand.
func mostSamples(all []prompb.TimeSeries) (most int) {
	samples := map[string]int{}
	for _, series := range all {
		name := labelsOf(series.Labels)
		samples[name] += len(series.Samples)
		most = max(most, samples[name])
	}
	return most
}

func hasDuplicateNames(labels []prompb.Label) bool {
	names := map[string]bool{}
	for _, l := range labels {
		if names[l.Name] {
			return true
		}
		names[l.Name] = true
	}
	return false
}

// label makes agent_hostname the ident, unless there is one, and adds the tags
// that the host's heartbeats have brought.
func (n *simulator) label(series *prompb.TimeSeries) {
	at := func(name string) int {
		return slices.IndexFunc(series.Labels, func(l prompb.Label) bool { return l.Name == name })
	}
	ident := ""
	if i := at("ident"); i >= 0 {
		ident = series.Labels[i].Value
	}
	if i := at("agent_hostname"); i >= 0 && ident == "" {
		ident = series.Labels[i].Value
		series.Labels[i].Name = "ident"
	}
	tags, _ := n.hosts[ident].fields["global_labels"].(map[string]any)
	for name, value := range tags {
		tag := prompb.Label{Name: name, Value: fmt.Sprint(value)}
		if i := at(name); i < 0 {
			series.Labels = append(series.Labels, tag)
		} else if n.settings.labelRewrite {
			series.Labels[i] = tag
		}
	}
}

// forward hands the queue on to the store, unless that is stalled. The first
// sample of each series is stamped with the server's clock, in whole seconds.
func (n *simulator) forward() {
	if n.stalled {
		return
	}
	for _, series := range n.queue {
		if n.settings.forceUseServerTS && len(series.Samples) > 0 {
			series.Samples[0].Timestamp = time.Now().Unix() * 1000
		}
		name := labelsOf(series.Labels)
		for _, s := range series.Samples {
			n.stored[name] = append(n.stored[name], sample{s.Timestamp, s.Value})
		}
	}
	n.queue = nil
}

// labelsOf is the labels as `name="value"`, sorted.
func labelsOf(labels []prompb.Label) string {
	pairs := make([]string, len(labels))
	for i, l := range labels {
		pairs[i] = fmt.Sprintf("%s=%q", l.Name, l.Value)
	}
	slices.Sort(pairs)
	return strings.Join(pairs, ",")
}

// heartbeat is POST /v1/n9e/heartbeat. An error is in the answer, whose status
// is 200 all the same.
func (n *simulator) heartbeat(w http.ResponseWriter, r *http.Request) {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = z
	}
	var fields map[string]any
	if err := json.NewDecoder(body).Decode(&fields); err != nil {
		fmt.Fprintf(w, `{"err":%q}`, err.Error())
		return
	}
	name, _ := fields["hostname"].(string)
	if name == "" {
		fmt.Fprint(w, `{"err":"hostname is required","request_id":"1"}`)
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hosts[name] = host{fields: fields, at: time.Now(), beats: n.hosts[name].beats + 1, client: r.Header}
	fmt.Fprint(w, n.answer)
}

// set changes the simulator under its lock.
func (n *simulator) set(change func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	change()
	n.forward()
}

// host is what is known of a host.
func (n *simulator) host(name string) (host, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	h, ok := n.hosts[name]
	return h, ok
}

// answered counts requests to write by the status of their answer.
func (n *simulator) answered(status int) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	count := 0
	for _, r := range n.requests {
		if r.status == status {
			count++
		}
	}
	return count
}

// series is a copy of what is stored of the series that have all of these
// labels, written name="value".
func (n *simulator) series(pairs ...string) map[string][]sample {
	n.mu.Lock()
	defer n.mu.Unlock()
	found := map[string][]sample{}
	for labels, samples := range n.stored {
		all := strings.Split(labels, ",")
		if !slices.ContainsFunc(pairs, func(p string) bool { return !slices.Contains(all, p) }) {
			found[labels] = slices.Clone(samples)
		}
	}
	return found
}
