//go:build e2e

package rules

import (
	"net/http"
	"time"
)

// Case is one scene: what is served, how the agent is configured, what the
// receiver answers, and what must be seen then. The zero Case is an agent with
// one empty target and one receiver that takes everything.
type Case struct {
	Scrapes []Page   // of the first target: the nth scrape gets the nth page, later ones the last
	Targets [][]Page // scripts of further targets of the same job
	Job     Job
	Jobs    []Job // further jobs; each needs its own URLs or Scrapes

	Writer  Writer
	Writers []Writer // further writers

	Features []string             // what an agent may have to be told by flag: "native-histograms", "exemplars", "metadata", "start-timestamps"
	Run      func(w *World) error // a scene that needs steps: stop, reload, ...; before Until
	Until    Want                 // enough has happened; nil = one more scrape than there are pages arrived
	Within   time.Duration        // for Until; 0 = 25 s
	Want     []Want

	// Unless holds, by kind of agent, what holds in place of Want where that
	// agent decides otherwise on purpose.
	Unless map[string]Deviation
}

// Deviation is a documented decision against the letter of a rule.
type Deviation struct {
	Claim string
	Want  []Want
	Until Want // in place of Case.Until; nil = as there
}

// Want is one expectation; nil means it holds.
type Want func(w *World) error

// Page is the answer to one scrape.
type Page struct {
	Body   string
	Make   func(n int, nowMs int64) string // in place of Body; n counts scrapes from 0
	Type   string                          // Content-Type; "" = text/plain; version=0.0.4, "-" = none
	Status int                             // 0 = 200
	Header map[string]string

	Wait     time.Duration // before answering
	Hang     bool          // never answers
	Gzip     bool          // body and Content-Encoding
	Cut      bool          // promises more bytes than it sends
	Endless  bool          // repeats Body for ever
	Dribble  bool          // one byte every 100 ms, for ever
	Reset    bool          // breaks the connection in the middle of the headers
	Redirect string        // 302 to this path, which then answers with Body
}

// Rule is one relabeling rule; nil pointers are not written.
type Rule struct {
	Source      []string
	Separator   *string
	Regex       *string
	Modulus     uint64
	Target      string
	Replacement *string
	Action      string
}

// Job is how one or several targets are scraped.
type Job struct {
	Name    string
	Path    string            // "" = /metrics
	Query   string            // without the ?
	URLs    []string          // further targets that no script serves
	Labels  map[string]string // target labels beside job and instance
	Scrapes []Page            // for Case.Jobs: the script of its only target
	targets []string          // base URLs of the scripted targets

	Interval time.Duration // 0 = 1 s
	Timeout  time.Duration // 0 = 1 s

	HonorLabels     *bool // nil = the agent's own default
	HonorTimestamps *bool
	TrackStaleness  bool
	SampleLimit     int
	LabelLimit      int
	NameLimit       int // bytes of a label name
	ValueLimit      int // bytes of a label value
	TargetLimit     int
	BucketLimit     int
	BodyLimit       string // "10KB"

	MetricRelabel []Rule
	TargetRelabel []Rule

	Protocols  []string // names as in Prometheus: PrometheusProto, OpenMetricsText1.0.0, ...
	Fallback   string   // the same, or "none"
	NoRedirect bool
	Native     bool // take native histograms
	Classic    bool // and the classic form beside them
	ToNHCB     bool // classic histograms become native ones with custom buckets
	Extra      bool // the further scrape_* series
}

// Writer is one remote-write endpoint and the script of its receiver.
type Writer struct {
	URL     string                  // in place of a scripted receiver
	Path    string                  // "" = /api/v1/write; may hold a query
	Late    bool                    // nothing listens until World.Listen
	Answers []Answer                // the nth request gets the nth answer, later ones Rest
	Rest    Answer                  // zero = 204, with Written headers to a 2.0 request
	Reply   func(r *Request) Answer // in place of Answers

	Message     string // "1.0", "2.0", "auto"; "" = the agent's default
	Headers     map[string]string
	External    map[string]string
	Relabel     []Rule
	Retry429    bool
	Timeout     time.Duration // 0 = 5 s
	MinBackoff  time.Duration // 0 = 30 ms
	MaxBackoff  time.Duration // 0 = 500 ms
	MaxAge      time.Duration // 0 = none
	Batch       int           // samples of a request; 0 = 2000
	Deadline    time.Duration // 0 = 200 ms
	Exemplars   bool
	Native      bool
	MetadataNow bool // 1.0 metadata every second
}

// Answer is what a receiver says to one request.
type Answer struct {
	Status  int // 0 = 204
	Header  http.Header
	Body    string
	Wait    time.Duration
	Hang    bool // never answers
	Close   bool // breaks the connection without an answer
	Cut     bool // promises more bytes of body than it sends
	Mute    bool // no Written headers
	Partial bool // Written headers say one sample less than was sent
}

// statuses is a script of plain answers.
func statuses(codes ...int) []Answer {
	answers := make([]Answer, len(codes))
	for i, c := range codes {
		answers[i] = Answer{Status: c}
	}
	return answers
}

// text makes a script of text pages.
func text(bodies ...string) []Page {
	pages := make([]Page, len(bodies))
	for i, b := range bodies {
		pages[i] = Page{Body: b}
	}
	return pages
}

// openMetrics makes a script of OpenMetrics 1.0 pages; # EOF is added.
func openMetrics(bodies ...string) []Page {
	pages := make([]Page, len(bodies))
	for i, b := range bodies {
		pages[i] = Page{Body: b + "# EOF\n", Type: "application/openmetrics-text; version=1.0.0; charset=utf-8"}
	}
	return pages
}
