package main

import (
	"bytes"
	"compress/gzip"
	"embed"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Pages recorded from a real one-node cluster (Kubernetes v1.36), as served,
// and again 15 seconds later.
//
//go:embed pages/*.txt.gz
var recorded embed.FS

const (
	// recordedGap is the time between the two recordings of a page.
	recordedGap = 15 * time.Second
	// stillDoubling is how long a counter that stood still between the
	// recordings takes to double, so that every rate has something to show.
	stillDoubling = time.Minute
	// gaugeSwing is how long a gauge takes from one recorded value to the
	// other and back.
	gaugeSwing = 2 * time.Minute
	// pageType is the Content-Type that the recorded components answer with.
	pageType = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"
)

// page is a recorded page whose values move on with the clock.
type page struct {
	lines []pageLine
	at    time.Time // when the earlier recording begins to play
}

// pageLine is a comment, or a series with its two recorded values.
type pageLine struct {
	text   string // the whole line of a comment; a series with its labels and a space
	motion motion
	v0, v1 float64 // as recorded first, and 15 s later
	ageMs  int64   // how old the sample's own timestamp is; -1 if it has none
}

// motion is how a value goes on after it was recorded.
type motion uint8

const (
	comment motion = iota
	still          // as recorded
	swing          // a gauge: to and fro between the two recorded values
	grow           // a counter that moved: on at the recorded pace
	creep          // a counter that stood still: doubles in stillDoubling
	moment         // a point in time, as far in the past as when it was recorded
)

// loadPage reads both recordings of name; values play from at on.
func loadPage(name string, at time.Time) (*page, error) {
	early, err := readRecorded("pages/" + name + ".0s.txt.gz")
	if err != nil {
		return nil, err
	}
	late, err := readRecorded("pages/" + name + ".15s.txt.gz")
	if err != nil {
		return nil, err
	}
	p, err := newPage(early, late, at)
	if err != nil {
		return nil, fmt.Errorf("recorded page %s: %w", name, err)
	}
	return p, nil
}

func readRecorded(path string) ([]byte, error) {
	packed, err := recorded.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("unpack %s: %w", path, err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("unpack %s: %w", path, err)
	}
	return text, nil
}

// newPage pairs the series of two recordings. The later one gives the series;
// one that it alone has stands still.
func newPage(early, late []byte, at time.Time) (*page, error) {
	before := map[string]float64{}
	for line := range strings.Lines(string(early)) {
		if series, value, _, ok := cutSample(line); ok {
			before[series] = value
		}
	}
	recordedMs := newestTimestamp(late)
	p := &page{at: at}
	types, moved := map[string]string{}, map[string]bool{}
	for line := range strings.Lines(string(late)) {
		series, value, ms, ok := cutSample(line)
		if !ok {
			if fields := strings.Fields(line); len(fields) == 4 && fields[1] == "TYPE" {
				types[fields[2]] = fields[3]
			}
			p.lines = append(p.lines, pageLine{text: line})
			continue
		}
		l := pageLine{text: series + " ", v0: value, v1: value, ageMs: -1}
		if v, ok := before[series]; ok {
			l.v0 = v
		}
		if ms > 0 {
			l.ageMs = recordedMs - ms
		}
		if l.v1 != l.v0 {
			moved[family(series, types)] = true
		}
		p.lines = append(p.lines, l)
	}
	if len(before) == 0 || len(types) == 0 {
		return nil, fmt.Errorf("no samples or no types in it")
	}
	for i := range p.lines {
		if l := &p.lines[i]; !strings.HasPrefix(l.text, "#") {
			name := family(strings.TrimSuffix(l.text, " "), types)
			l.motion = motionOf(name, types[name], moved[name], l)
			if l.motion == moment {
				l.v0 = l.v1 - float64(recordedMs)/1000 // seconds before now, below 0
			}
		}
	}
	return p, nil
}

// motionOf decides by family, so that the buckets of a histogram keep their order.
func motionOf(name, kind string, moved bool, l *pageLine) motion {
	finite := !math.IsNaN(l.v1) && !math.IsInf(l.v1, 0) && !math.IsNaN(l.v0)
	switch {
	case !finite:
		return still
	case l.v1 > 1e9 && (strings.HasSuffix(name, "_timestamp_seconds") || strings.HasSuffix(name, "_time_seconds") || strings.HasSuffix(name, "_last_seen")):
		return moment
	case kind == "summary" && strings.Contains(l.text, `quantile="`), kind == "gauge":
		return swing
	case kind != "counter" && kind != "histogram" && kind != "summary", l.v1 < l.v0:
		return still
	case moved:
		return grow
	}
	return creep
}

// family is the name of the family that series belongs to.
func family(series string, types map[string]string) string {
	name, _, _ := strings.Cut(series, "{")
	if _, ok := types[name]; ok {
		return name
	}
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		if base, ok := strings.CutSuffix(name, suffix); ok && types[base] != "" {
			return base
		}
	}
	return name
}

// cutSample takes a line apart: series as exposed, value, and timestamp in
// milliseconds or 0. It knows the recorded pages, whose label values hold no
// "} ", and is no parser.
func cutSample(line string) (series string, value float64, ms int64, ok bool) {
	line = strings.TrimRight(line, "\r\n")
	if line == "" || line[0] == '#' {
		return "", 0, 0, false
	}
	end := strings.LastIndex(line, "} ") + 1
	if end == 0 {
		end = strings.IndexByte(line, ' ')
	}
	if end < 0 {
		return "", 0, 0, false
	}
	fields := strings.Fields(line[end:])
	if len(fields) == 0 {
		return "", 0, 0, false
	}
	value, err := strconv.ParseFloat(fields[0], 64)
	if err != nil {
		return "", 0, 0, false
	}
	if len(fields) > 1 {
		ms, _ = strconv.ParseInt(fields[1], 10, 64) // 0 if it is no timestamp
	}
	return line[:end], value, ms, true
}

// newestTimestamp is when a page was recorded: its latest own timestamp, or
// the latest point in time that it tells of, in milliseconds.
func newestTimestamp(text []byte) int64 {
	var newest int64
	for line := range strings.Lines(string(text)) {
		series, value, ms, ok := cutSample(line)
		if !ok {
			continue
		}
		if strings.Contains(series, "_timestamp_seconds") && value > 1e9 {
			ms = max(ms, int64(value*1000))
		}
		newest = max(newest, ms)
	}
	return newest
}

// series is how many series the page has.
func (p *page) series() int {
	n := 0
	for i := range p.lines {
		if p.lines[i].motion != comment {
			n++
		}
	}
	return n
}

// append renders the page as of now.
func (p *page) append(dst []byte, now time.Time) []byte {
	elapsed := max(now.Sub(p.at), 0)
	for i := range p.lines {
		l := &p.lines[i]
		dst = append(dst, l.text...)
		if l.motion == comment {
			continue
		}
		dst = strconv.AppendFloat(dst, l.value(elapsed, now), 'g', -1, 64)
		if l.ageMs >= 0 {
			dst = append(dst, ' ')
			dst = strconv.AppendInt(dst, now.UnixMilli()-l.ageMs, 10)
		}
		dst = append(dst, '\n')
	}
	return dst
}

// value is the line's value some time after the page began to play.
func (l *pageLine) value(elapsed time.Duration, now time.Time) float64 {
	v := l.v1
	switch l.motion {
	case swing:
		v = l.v0 + (l.v1-l.v0)*(1-math.Cos(2*math.Pi*elapsed.Seconds()/gaugeSwing.Seconds()))/2
	case grow:
		v = l.v0 + (l.v1-l.v0)*(elapsed.Seconds()/recordedGap.Seconds())
	case creep:
		v = l.v1 * (1 + elapsed.Seconds()/stillDoubling.Seconds())
	case moment:
		return float64(now.UnixMilli())/1000 + l.v0
	}
	if isWhole(l.v0) && isWhole(l.v1) {
		return math.Floor(v) // rounding down keeps cumulative buckets in order
	}
	return v
}

func isWhole(v float64) bool { return v == math.Trunc(v) }

// ServeHTTP answers with the page as of now.
func (p *page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", pageType)
	body := p.append(nil, time.Now())
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // the scraper hung up
}
