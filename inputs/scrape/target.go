// Package scrape fetches the pages of targets, each in a loop of its own, and
// turns them into rows whose shapes hardly ever change. It knows nothing of
// where targets come from: an input hands them to a Manager.
package scrape

import (
	"hash/fnv"
	"net"
	"net/netip"
	"net/url"
	"time"

	"kinglet"
	"kinglet/conf/httpclient"
)

// Target is one page to be scraped. It is immutable once handed to a Manager.
type Target struct {
	// Key tells targets of an input apart, and stays the same over a restart
	// and over a change of settings: the URL and what makes two targets of one
	// URL differ. It decides the phase.
	Key string
	// Settings is equal for equal settings. A target whose Key was there before
	// with other Settings keeps its phase, and its series end only if the next
	// page does not bring them again.
	Settings string

	URL    string                 // may hold credentials
	Gather func() ([]byte, error) // if set, makes the page, in the text format, instead of a request
	Client *httpclient.Client
	Labels map[string]string // for status pages
	Page   PageConfig

	Interval      time.Duration
	Timeout       time.Duration // of a scrape: connecting, headers and the whole body
	BodySizeLimit int64         // bytes, uncompressed; 0 = no limit
	ScrapeMeta    bool          // send scrape_duration_seconds and its siblings beside up
	UserAgent     string
	Accept        string // "" = the text format before all others
	SameNode      bool   // known to be on this node: gzip is not asked for; addresses of this host are found anyway
	Silent        bool   // send neither up nor scrape_*
	Refused       error  // if set, every scrape fails with it and no request is made
}

// offset is the target's place in the interval, the same after a restart.
func (t *Target) offset() time.Duration {
	h := fnv.New64a()
	h.Write([]byte(t.Key))
	return time.Duration(h.Sum64() % uint64(t.Interval))
}

// shownURL is the URL without credentials.
func shownURL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "(bad URL)"
	}
	u.User = nil
	return u.String()
}

// Report names the series that kinglet sends for every target.
const (
	reportUp       = "up"
	reportDuration = "scrape_duration_seconds"
	reportScraped  = "scrape_samples_scraped"
	reportPost     = "scrape_samples_post_metric_relabeling"
	reportAdded    = "scrape_series_added"
)

// own lists the target's own series, in the order of report.values.
func (t *Target) own() []labeled {
	if t.Silent {
		return nil
	}
	names := []string{reportUp}
	if t.ScrapeMeta {
		names = append(names, reportDuration, reportScraped, reportPost, reportAdded)
	}
	made := make([]labeled, len(names))
	for i, name := range names {
		made[i] = t.Page.Labels.report(name)
	}
	return made
}

// sameNode reports whether a URL leads to this host: gzip would only cost both
// sides time there.
func sameNode(rawURL string) bool {
	u, err := url.Parse(rawURL)
	if err != nil {
		return false
	}
	host := u.Hostname()
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return false // a name is not resolved for this
	}
	if addr.IsLoopback() {
		return true
	}
	locals, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, local := range locals {
		if prefix, err := netip.ParsePrefix(local.String()); err == nil && prefix.Addr().Unmap() == addr.Unmap() {
			return true
		}
	}
	return false
}

// ownShape is the shape of the target's own series and which of the values of
// a report go into it.
type ownShape struct {
	shape  *kinglet.Shape // nil if filters left nothing
	fields []int
	enums  []map[float64]float64
}

func newOwnShape(made []labeled) ownShape {
	var o ownShape
	var series []kinglet.Series
	for i, m := range made {
		if m.labels == nil {
			continue
		}
		series = append(series, kinglet.Series{Labels: m.labels})
		o.fields = append(o.fields, i)
		o.enums = append(o.enums, m.values)
	}
	if len(series) > 0 {
		o.shape = kinglet.NewShape(series)
	}
	return o
}

// row is the shape's row with these values, one per own series.
func (o *ownShape) row(timeMs int64, values []float64) *kinglet.Row {
	row := &kinglet.Row{Shape: o.shape, TimestampMs: timeMs, Values: make([]float64, len(o.fields))}
	for i, field := range o.fields {
		row.Values[i] = values[field]
		if to, ok := o.enums[i][values[field]]; ok {
			row.Values[i] = to
		}
	}
	return row
}

// ended is the row that ends the target's own series.
func (o *ownShape) ended(timeMs int64) *kinglet.Row {
	row := &kinglet.Row{Shape: o.shape, TimestampMs: timeMs, Values: make([]float64, len(o.fields))}
	for i := range row.Values {
		row.Values[i] = kinglet.Stale()
	}
	return row
}
