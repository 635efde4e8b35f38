// Package inputs says what an input is: something that finds series on this
// node and hands finished rows to a sink, and can tell how it is doing.
package inputs

import (
	"context"
	"time"

	"kinglet"
)

// Input finds series on this node. A constructor checks and builds; nothing
// runs before Run or Once.
type Input interface {
	// Run pushes rows into out until ctx ends, and returns after everything it
	// started has stopped. What is wrong with one target is no error of Run:
	// it shows as `up 0` and in the Reporter.
	Run(ctx context.Context, out kinglet.Sink) error
	// Once scrapes every target one time, at once, and returns how many of
	// them were down. It is the dry run; Run is not called on the same Input.
	Once(ctx context.Context, out kinglet.Sink) (down int, err error)
}

// Reporter tells the state of an input's targets, for status pages. It does
// not block on the network.
type Reporter interface {
	Targets() []Target
}

// Target is one target as it stands.
type Target struct {
	Input      string            // "prometheus"
	URL        string            // without credentials
	Labels     map[string]string // what identifies its series: job, instance, ...
	Interval   time.Duration
	Up         bool      // the last scrape was fetched and parsed
	LastScrape time.Time // start of the last finished scrape; zero before the first
	Duration   time.Duration
	Samples    int    // scraped last time
	Error      string // of the last scrape; what failed and what can be changed; no secrets
}

// Settings is what every input needs to know of this host and of [global].
type Settings struct {
	Hostname   string            // value of agent_hostname; "" leaves the label out
	Labels     map[string]string // [global.labels]: added where absent
	Interval   time.Duration     // between scrapes, where an input has none of its own
	Precision  time.Duration     // timestamps are cut to it: 1ms, 1s or 1m
	MaxColumns int               // most columns in one row; longer scrapes are pushed as several rows
	MaxSeries  int               // most series that an input remembers, as memory of 1 KiB each; 0 = no bound
	UserAgent  string            // "kinglet/VERSION"
}
