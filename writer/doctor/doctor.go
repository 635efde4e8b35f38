// Package doctor looks at endpoints from where it runs, and says in one line
// each what is wrong and what to change. Unless it is told to, it writes
// nothing: it posts requests without samples, which every receiver answers as
// it would answer others. It changes nothing else, and logs nothing.
package doctor

import (
	"context"
	"fmt"
	"net"
	"slices"
	"time"

	"kinglet/conf/httpclient"
	"kinglet/writer/remotewrite"
)

// Grade is how a check ended.
type Grade string

// Grades of checks.
const (
	OK   Grade = "ok"
	Warn Grade = "warn" // works, but not as well as it could, or it cannot be told
	Fail Grade = "FAIL" // samples are or will be lost or late
	Skip Grade = "skip" // not done
)

// Check is one thing that was looked at. Names are stable.
type Check struct {
	Name   string `json:"name"`
	Grade  Grade  `json:"grade"`
	Detail string `json:"detail"` // what is so and, unless that is fine, what to change
}

// Report is all that was looked at of one thing.
type Report struct {
	Of     string  `json:"of"`  // what it is about: "writer NAME", "heartbeat", "queue_dir"
	URL    string  `json:"url"` // without secrets; the path of a directory
	Checks []Check `json:"checks"`
}

// Fine reports whether no check failed.
func (r Report) Fine() bool {
	return !slices.ContainsFunc(r.Checks, func(c Check) bool { return c.Grade == Fail })
}

func (r *Report) add(name string, grade Grade, format string, args ...any) {
	r.Checks = append(r.Checks, Check{name, grade, httpclient.Printable(fmt.Sprintf(format, args...))})
}

// Options say what to do. Begin from DefaultOptions.
type Options struct {
	Timeout   time.Duration // of each step
	ReadBack  time.Duration // to wait for what was written to be found
	Write     bool          // write samples of the doctor's own, to see what becomes of them
	QueryURL  string        // in place of the configured query_url
	Hostname  string        // agent_hostname of those samples; "" = none
	UserAgent string

	// Proxy is the proxy for a URL, as net/http knows it from the environment;
	// nil if the environment is to be passed over.
	Proxy ProxyFunc
	// Resolver finds addresses; nil is the operating system's.
	Resolver *net.Resolver
}

// DefaultOptions gives each step 5 s, within which a healthy endpoint answers
// many times, and what was written 20 s to be found, as stores hold samples back
// for a few seconds.
func DefaultOptions() Options {
	return Options{Timeout: 5 * time.Second, ReadBack: 20 * time.Second, UserAgent: "kinglet"}
}

// Writer looks at one endpoint. It ends early where the rest could only fail
// for the same reason, and blocks for about ten times o.Timeout at most, and
// for o.ReadBack.
func Writer(ctx context.Context, name string, cfg remotewrite.Config, o Options) Report {
	r := Report{Of: "writer " + name, URL: cfg.DisplayURL()}
	r.examine(cfg, o, func(e *examination) {
		if e.reach(ctx) && e.talk(ctx) {
			e.forms(ctx)
			e.receiver(ctx)
			e.write(ctx)
		}
	})
	return r
}

// examine does look with a client for cfg.
func (r *Report) examine(cfg remotewrite.Config, o Options, look func(*examination)) {
	cfg.TimeoutMs = o.Timeout.Milliseconds()
	cfg.DialTimeoutMs = min(cfg.DialTimeout(), o.Timeout).Milliseconds()
	if err := cfg.Validate(); err != nil {
		r.add("config", Fail, "%v", oneLine(err.Error()))
		return
	}
	doer, err := remotewrite.NewHTTP(cfg)
	if err != nil {
		r.add("config", Fail, "%v", oneLine(err.Error()))
		return
	}
	defer doer.Forget()
	look(&examination{Report: r, cfg: cfg, options: o, client: remotewrite.NewClient(cfg, doer, o.UserAgent)})
}

// examination is one Report in the making.
type examination struct {
	*Report
	cfg     remotewrite.Config
	options Options
	client  *remotewrite.Client
}
