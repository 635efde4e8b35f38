package doctor_test

import (
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

	"go.uber.org/goleak"

	"kinglet"
	"kinglet/writer/doctor"
	"kinglet/writer/remotewrite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// store is a receiver with a query API and the habits of one kind.
type store struct {
	path     string // of its remote write
	query    string // below which its query API is
	header   http.Header
	build    string // its page of build information
	zstd     bool
	message2 int  // status of its answer to 2.0
	tells2   bool // and it says what it wrote
	stamps   bool // the first sample of a series with its own clock
	hides    func(age string) bool
	answer   int // in place of all else
	text     string
	date     string // of all answers
	user     string // with the password "secret"

	mu       sync.Mutex
	samples  map[string]sample // by age
	requests []string          // method and path
	agents   []string
}

type sample struct {
	labels []kinglet.Label
	at     time.Time
}

func nightingale() *store {
	return &store{path: "/prometheus/v1/write", query: "/prometheus", message2: 200, stamps: true}
}

func victoriaMetrics() *store {
	return &store{
		path: "/api/v1/write", zstd: true, message2: 204, header: http.Header{"X-Server-Hostname": {"vm-0"}},
		build: `{"status":"success","data":{"version":"2.24.0"}}`,
	}
}

func prometheus() *store {
	return &store{
		path: "/api/v1/write", message2: 204, tells2: true,
		build: `{"status":"success","data":{"version":"3.5.0","revision":"8be3","goVersion":"go1.25"}}`,
	}
}

func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests, s.agents = append(s.requests, r.Method+" "+r.URL.Path), append(s.agents, r.UserAgent())
	for k, v := range s.header {
		w.Header()[k] = v
	}
	if s.date != "" {
		w.Header().Set("Date", s.date)
	}
	_, password, _ := r.BasicAuth()
	switch {
	case s.user != "" && password != "secret":
		http.Error(w, "who are you", http.StatusUnauthorized)
	case s.answer != 0:
		w.Header().Set("Location", "https://elsewhere.example/write?token=secret")
		w.WriteHeader(s.answer)
		fmt.Fprint(w, s.text)
	case r.Method == http.MethodPost && r.URL.Path == s.path:
		s.write(w, r)
	case r.URL.Path == s.query+"/api/v1/query":
		s.find(w, r)
	case strings.HasSuffix(r.URL.Path, "/api/v1/status/buildinfo") && s.build != "":
		fmt.Fprint(w, s.build)
	default:
		http.NotFound(w, r)
	}
}

func (s *store) write(w http.ResponseWriter, r *http.Request) {
	if strings.Contains(r.Header.Get("Content-Type"), "v2.Request") {
		if s.tells2 {
			w.Header().Set("X-Prometheus-Remote-Write-Samples-Written", "0")
		}
		w.WriteHeader(max(s.message2, http.StatusOK))
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if r.Header.Get("Content-Encoding") == "zstd" {
		if !s.zstd {
			http.Error(w, "snappy: corrupt input", http.StatusBadRequest)
		}
		return
	}
	series, err := remotewrite.Decode(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	for _, one := range series {
		at := time.UnixMilli(one.Samples[0].TimestampMs)
		if s.stamps {
			at = time.Now().Truncate(time.Second)
		}
		if age := label(one.Labels, "age"); s.hides == nil || !s.hides(age) {
			if s.samples == nil {
				s.samples = map[string]sample{}
			}
			s.samples[age] = sample{one.Labels, at}
		}
	}
}

func label(labels []kinglet.Label, name string) string {
	i := slices.IndexFunc(labels, func(l kinglet.Label) bool { return l.Name == name })
	if i < 0 {
		return ""
	}
	return labels[i].Value
}

// find answers the doctor's query.
func (s *store) find(w http.ResponseWriter, r *http.Request) {
	type result struct {
		Metric map[string]string `json:"metric"`
		Values [][2]any          `json:"values"`
	}
	all := []result{}
	for age, one := range s.samples {
		if r.FormValue("query") != fmt.Sprintf(`kinglet_doctor_probe{probe="%s"}[1h]`, label(one.labels, "probe")) {
			continue
		}
		all = append(all, result{map[string]string{"age": age}, [][2]any{{float64(one.at.UnixMilli()) / 1000, "1"}}})
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"status": "success", "data": map[string]any{"resultType": "matrix", "result": all}})
}

// serve starts s and gives the configuration of a writer to it.
func (s *store) serve(t *testing.T) remotewrite.Config {
	t.Helper()
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	cfg := remotewrite.DefaultConfig()
	cfg.URL = server.URL + s.path
	return cfg
}

// quick are options for servers of this process.
func quick() doctor.Options {
	o := doctor.DefaultOptions()
	o.Timeout, o.ReadBack, o.UserAgent = 2*time.Second, 10*time.Second, "kinglet/test"
	return o
}

func find(t *testing.T, r doctor.Report, name string) doctor.Check {
	t.Helper()
	for _, c := range r.Checks {
		if c.Name == name {
			return c
		}
	}
	t.Fatalf("no check %q in %v", name, r.Checks)
	return doctor.Check{}
}
