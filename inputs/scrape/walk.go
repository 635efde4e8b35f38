package scrape

import (
	"bytes"
	"errors"
	"fmt"
	"hash/maphash"

	"kinglet"
	"kinglet/inputs/promtext"
)

// PageConfig says what a target's pages become. It is immutable.
type PageConfig struct {
	Labels *Labeler

	HonorTimestamps          bool  // take timestamps of the page
	TrackTimestampsStaleness bool  // end series that have them with stale markers too (RW-51)
	Lenient                  bool  // skip and count bad lines instead of failing the page
	PrecisionMs              int64 // timestamps of the page are cut to it; 0 or 1 = as they are
	MaxColumns               int   // most columns of a shape; 0 = 1000

	// What is taken of pages that have more than the text format.
	NativeHistograms  bool // the native form of protobuf histograms
	ClassicHistograms bool // and the classic form, where there are both
	CustomBuckets     bool // classic histograms become native ones; text pages are read as a whole then
	CreatedTimestamps bool // _created series of OpenMetrics are start timestamps, not series

	// Limits, each of which fails the whole scrape; 0 = none (RW-149, RW-150).
	SampleLimit           int // samples after relabeling
	LabelLimit            int // labels of a series, the metric name included
	LabelNameLengthLimit  int // bytes
	LabelValueLengthLimit int // bytes
	BucketLimit           int // buckets of a native histogram, which is made coarser to keep it (RW-153)
}

func (c *PageConfig) maxColumns() int {
	if c.MaxColumns <= 0 {
		return 1000
	}
	return c.MaxColumns
}

// A LimitError says that a page exceeds what the configuration allows.
type LimitError struct {
	Limit string // its TOML key
	Text  string
}

func (e *LimitError) Error() string { return e.Limit + ": " + e.Text }

// walk reads one page by the layout of the last one. Values go where the page
// had them last time; a line that is not where it was is looked up; what was
// never seen is parsed and labelled. Nothing of it counts before commit.
type walk struct {
	l      *layout
	timeMs int64 // of the scrape

	at     int    // the line of the layout that is expected next
	next   []line // the lines of this page; nil as long as they are those of the layout
	number int    // lines read
	family int32  // the families entry that the page speaks of; -1 = none

	values     []float64 // by column, then by fresh
	times      []int64   // nil until a sample has a timestamp
	histograms []*kinglet.Histogram
	starts     []int64
	exemplars  []kinglet.Exemplar
	filled     int // columns of the layout that have a value
	fresh      []freshSeries
	plain      int             // bytes of labels of fresh, until there is a table
	table      *labelTable     // of them; nil while they are few
	room       *room           // nil until the page is another than the last
	labels     []kinglet.Label // scratch of discover
	encoded    []byte          // scratch of discovered
	gone       []bool
	rows       []kinglet.Row // of parts that stay; never grown, as they are pointed to
	held       []bool        // by column: its sample must not be sent; nil = no page had timestamps
	twins      twins

	lines   lookup // see findLine
	sets    lookup // see findSet
	newFrom int    // the first of next that is not the layout's; -1 = there is none

	text   textSource
	meta   promtext.Metadata
	metaOf int32 // the families entry that meta was fed; -1 = none

	metas       map[string]*kinglet.Meta // by family as sent; built when needed
	newMetas    map[string]*kinglet.Meta // those in whose place the layout has others
	lastExposed *kinglet.Meta            // what shared was asked last,
	lastShared  *kinglet.Meta            // and said

	families int // of the layout, when the page began

	scraped, dropped, refused, duplicates, ownTaken, badLines, badHistograms, overLimit, outOfOrder, shapesMade int

	revived int // columns that had ended and have a value again

	overBuckets int // buckets of the largest histogram that is beyond the limit
}

// begin starts to read a page whose scrape has that timestamp.
func (l *layout) begin(timeMs int64) *walk {
	l.giveBack() // of a walk that was lost
	w := &walk{l: l, timeMs: timeMs, family: -1, metaOf: -1, newFrom: -1, values: make([]float64, l.columns(), l.columns()+l.grew), twins: l.twins.clone(), families: len(l.families)}
	w.text.w = w
	fill(w.values)
	return w
}

// feed reads the whole lines at the beginning of page and returns the rest.
// What it needs of page it copies. After an error the walk is of no use.
func (w *walk) feed(page []byte) (rest []byte, err error) {
	for {
		page = w.predicted(page)
		end := bytes.IndexByte(page, '\n')
		if end < 0 {
			return page, nil
		}
		if err := w.line(page[:end]); err != nil {
			return nil, err
		}
		page = page[end+1:]
	}
}

// finish reads what stands behind the last line feed.
func (w *walk) finish(rest []byte) error {
	if len(rest) > 0 {
		if err := w.line(rest); err != nil {
			return err
		}
	}
	return w.checkLimits()
}

// abandon takes back what the walk added to the layout, when the page is bad.
func (w *walk) abandon() {
	w.l.families = w.l.families[:w.families]
	for i := range w.l.families {
		w.l.families[i].meta = nil // no shape may have it
	}
	w.l.giveBack()
}

// checkLimits holds a page that was read to its end against the limits.
func (w *walk) checkLimits() error {
	kept := w.filled + len(w.fresh) + w.overLimit
	if limit := w.l.cfg.SampleLimit; limit > 0 && kept > limit {
		return &LimitError{sampleLimitName, fmt.Sprintf("%d samples, want at most %d", kept, limit)}
	}
	if w.overBuckets > 0 {
		return &LimitError{bucketLimitName, fmt.Sprintf("a histogram of the coarsest schema has %d buckets, want at most %d", w.overBuckets, w.l.cfg.BucketLimit)}
	}
	return nil
}

// predicted reads lines for as long as they are the expected ones. This is
// the hot loop: no allocation, no look-up, no label.
func (w *walk) predicted(page []byte) []byte {
	lines, values, simple := w.l.lines, w.values, !w.twins.any()
	for w.at < len(lines) {
		e := lines[w.at]
		n := int(e.size)
		if len(page) <= n || maphash.Bytes(w.l.seed, page[:n]) != e.hash {
			break
		}
		rest := page[n:]
		if e.ref <= refFamily {
			if rest[0] != '\n' {
				break
			}
			w.family = refFamily - e.ref
			page = rest[1:]
			w.number++
			w.remember(e, w.at)
			continue
		}
		end := bytes.IndexByte(rest, '\n')
		if end < 0 || (rest[0] != ' ' && page[n-1] != '}') {
			break
		}
		value, timeMs, err := promtext.ReadSample(rest[:end])
		if err != nil {
			break // line says what is wrong
		}
		if simple && e.ref >= 0 && timeMs == kinglet.NoTime && kinglet.IsAbsent(values[e.ref]) {
			values[e.ref] = value
			w.filled++
			w.scraped++
		} else {
			e.ref = w.take(e.ref, value, timeMs)
			values, simple = w.values, !w.twins.any()
		}
		page = rest[end+1:]
		w.number++
		w.remember(e, w.at)
	}
	return page
}

// remember notes the next line of this page. It stood at pos in the layout; -1
// if it did not. As long as lines come as expected there is nothing to note.
func (w *walk) remember(e line, pos int) {
	if w.next == nil {
		if pos == w.at && w.l.lines[pos].ref == e.ref {
			w.at++
			return
		}
		r := w.need()
		if cap(r.next) < len(w.l.lines) {
			r.next = make([]line, 0, len(w.l.lines)+len(w.l.lines)/8+16)
		}
		w.next = append(r.next[:0], w.l.lines[:w.at]...)
	}
	if pos >= 0 {
		w.at = pos + 1
	} else {
		w.lines.put(e.hash, int32(len(w.l.lines)+len(w.next)))
		if w.newFrom < 0 {
			w.newFrom = len(w.next)
		}
	}
	w.next = append(w.next, e)
}

// line reads a line that is not the expected one.
func (w *walk) line(text []byte) error {
	w.number++
	err := w.unexpected(text)
	if err == nil {
		return nil
	}
	err = promtext.At(err, w.number, text)
	if _, bad := errors.AsType[*promtext.SyntaxError](err); bad && w.l.cfg.Lenient {
		w.badLines++
		return nil
	}
	return err
}

func (w *walk) unexpected(text []byte) error {
	var l promtext.Line
	if err := promtext.ParseLine(text, &l); err != nil {
		return err
	}
	switch l.Kind {
	case promtext.Blank, promtext.Comment:
		return nil // not remembered: a comment may be another each time
	case promtext.SampleLine:
		value, err := promtext.ParseValue(l.Value)
		if err != nil {
			return err
		}
		timeMs := kinglet.NoTime
		if l.Time != nil {
			if timeMs, err = promtext.ParseTimestamp(l.Time); err != nil {
				return err
			}
		}
		// Blanks before the series belong to the text that is remembered.
		lead := len(text) - len(bytes.TrimLeft(text, " \t"))
		w.text.series = l.Series
		_, err = w.sample(text[:lead+len(l.Series)], value, timeMs, &w.text)
		return err
	}
	hash := maphash.Bytes(w.l.seed, text)
	e, pos, ok := w.find(hash, len(text))
	if !ok {
		if err := w.l.charge(familyBytes + len(l.Family) + len(l.Text)); err != nil {
			return err
		}
		e = line{hash, uint32(len(text)), w.newFamily(&l)}
	}
	w.family = refFamily - e.ref
	w.remember(e, pos)
	return nil
}

// sample takes a sample. Key stands for its series: the text of a line, or
// other bytes that are equal for equal series. It returns where it went.
func (w *walk) sample(key []byte, value float64, timeMs int64, from source) (ref int32, err error) {
	hash := maphash.Bytes(w.l.seed, key)
	e, pos, ok := w.find(hash, len(key))
	if !ok {
		found, err := from.discover()
		if err != nil {
			return 0, err
		}
		e = line{hash: hash, size: uint32(len(key))}
		fresh := len(w.fresh)
		e.ref, err = w.discovered(found)
		if err == nil && len(w.fresh) == fresh && e.ref != refOver {
			err = w.l.charge(entryBytes)
		}
		if err != nil {
			w.scraped, w.refused = w.scraped+1, 1 // it was read, and is what the scrape fails by (RW-143)
			return 0, err
		}
	}
	if e.ref = w.take(e.ref, value, timeMs); e.ref != refOver {
		w.remember(e, pos)
	}
	return e.ref, nil
}

// find looks for a line: a few lines ahead of the expected one, as when series
// vanished, else anywhere. Pos is its place in the layout, -1 if it is only
// known from this page.
func (w *walk) find(hash uint64, size int) (e line, pos int, ok bool) {
	const ahead = 16
	known := w.l.lines
	for i := w.at; i < min(w.at+ahead, len(known)); i++ {
		if known[i].hash == hash && int(known[i].size) == size {
			return known[i], i, true
		}
	}
	if len(known) == 0 {
		// The first page: what repeats is found by its label set, and the page
		// is not held in memory by an index of its own.
		return line{}, -1, false
	}
	i, ok := w.findLine(hash)
	if !ok {
		return line{}, -1, false
	}
	if int(i) < len(known) {
		return known[i], int(i), int(known[i].size) == size
	}
	e = w.next[int(i)-len(known)]
	return e, -1, int(e.size) == size
}
