// Package scrape fetches the pages of targets, each in a loop of its own, and
// turns them into rows whose shapes hardly ever change. It knows nothing of
// where targets come from: an input hands them to a Manager.
package scrape

import (
	"hash/fnv"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"time"

	"kinglet"
	"kinglet/conf/httpclient"
	"kinglet/inputs/promtext"
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
	ExtraMeta     bool          // send scrape_timeout_seconds, scrape_sample_limit and scrape_body_size_bytes too (RW-148)
	UserAgent     string
	SameNode      bool  // known to be on this node: gzip is not asked for; addresses of this host are found anyway
	Silent        bool  // send neither up nor scrape_*
	EndsAtOnce    bool  // when it is gone its series end then, as it will not come back; else they end two intervals later
	Refused       error // if set, every scrape fails with it and no request is made

	// Explain, if set, is given the error of a request that failed or of a page
	// that was not taken, and returns one that wraps it and says what to change.
	Explain func(error) error

	// Protocols are what the target is asked for, the best one first; nil asks
	// for the text format, which all exporters have and which costs least here.
	Protocols []promtext.Protocol
	// Fallback is what a page is read as whose Content-Type is missing,
	// unreadable or no format of metrics; "" fails the scrape (RW-114).
	Fallback promtext.Protocol

	shift uint64 // of the host, set by the Manager
}

// accept is the Accept header. Names come as they are: those that cannot be
// sent are rewritten here, as those of targets that know no escaping.
func (t *Target) accept() string {
	if t.Protocols == nil {
		return promtext.Accept([]promtext.Protocol{promtext.PrometheusText0}, promtext.AllowUTF8)
	}
	return promtext.Accept(t.Protocols, promtext.AllowUTF8)
}

// slots is the number of places in an interval at which targets are scraped.
// Targets of one slot are scraped together: waking an idle process costs about
// as much as reading a page of a few hundred series, so a node's targets share
// wake-ups. The slots of each host are shifted, lest all hosts push at once.
const slots = 16

// offset is the target's place in the interval, the same after a restart.
func (t *Target) offset() time.Duration {
	h := fnv.New64a()
	h.Write([]byte(t.Key))
	width := max(uint64(t.Interval)/slots, 1)
	return time.Duration((h.Sum64()%slots*width + t.shift%width) % uint64(t.Interval))
}

// identity tells the target from those of all inputs, as Row.Target does.
func (t *Target) identity(input string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(input))
	h.Write([]byte{0})
	h.Write([]byte(t.Key))
	return max(h.Sum64(), 1)
}

// hostShift is a number of this host's own.
func hostShift() uint64 {
	name, err := os.Hostname()
	if err != nil {
		return 0 // a shift is for the receiver's good, no more
	}
	h := fnv.New64a()
	h.Write([]byte(name))
	return h.Sum64()
}

// ownMetas are the series that kinglet sends for every target, in the order of
// attempt.report. Up is the first; moreOwn and the following come with
// Target.ExtraMeta, the others with Target.ScrapeMeta.
func ownMetas() []kinglet.Meta {
	return []kinglet.Meta{
		{Family: "up", Help: "1 if the last scrape was good, 0 if it failed."},
		{Family: "scrape_duration_seconds", Help: "Duration of the scrape.", Unit: "seconds"},
		{Family: "scrape_samples_scraped", Help: "Samples on the page."},
		{Family: "scrape_samples_post_metric_relabeling", Help: "Samples of the page that filters and rules left."},
		{Family: "scrape_series_added", Help: "Series of the page that were not on the last one."},
		{Family: "scrape_timeout_seconds", Help: "Time that the scrape may take.", Unit: "seconds"},
		{Family: "scrape_sample_limit", Help: "Most samples that the page may have, 0 for no limit."},
		{Family: "scrape_body_size_bytes", Help: "Size of the page, uncompressed; -1 if it was over the limit.", Unit: "bytes"},
	}
}

const moreOwn = 5 // ownMetas from here on are extra

// own lists the target's own series, in the order of attempt.report; those
// that are not sent have no labels.
func (t *Target) own() []labeled {
	metas := ownMetas()
	made := make([]labeled, len(metas))
	for i := range metas {
		if t.Silent || i > 0 && i < moreOwn && !t.ScrapeMeta || i >= moreOwn && !t.ExtraMeta {
			continue
		}
		made[i] = t.Page.Labels.report(metas[i].Family)
		metas[i].Type = kinglet.TypeGauge // RW-25
		made[i].meta = &metas[i]
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

	duplicates int // series that rules made equal to one before, and that are not sent
}

func newOwnShape(made []labeled) ownShape {
	var o ownShape
	var series []kinglet.Series
	for i, m := range made {
		if m.labels == nil {
			continue
		}
		if slices.ContainsFunc(series, func(s kinglet.Series) bool { return slices.Equal(s.Labels, m.labels) }) {
			o.duplicates++
			continue
		}
		series = append(series, kinglet.Series{Labels: m.labels, Meta: m.meta})
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
