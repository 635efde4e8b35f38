package scrape

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"

	"kinglet/conf/leanhttp"
	"kinglet/inputs/promtext"
)

const (
	windowBytes  = 64 << 10 // of a text page in memory
	lineBytes    = 1 << 20  // longest line of a text page
	excerptBytes = 256      // of the body of a bad status, in its error
	discardBytes = 16 << 10 // read of such a body so that the connection can be used again
)

// Limits that are looked for by name.
const (
	sizeLimitName   = "body_size_limit"
	sampleLimitName = "sample_limit"
	bucketLimitName = "native_histogram_bucket_limit"
	memoryLimitName = "memory_limit"
)

// A StatusError says that a target answered with another status than 200.
type StatusError struct {
	Code int
	Body string // its beginning, on one line
}

func (e *StatusError) Error() string {
	text := "status " + strconv.Itoa(e.Code)
	if word := http.StatusText(e.Code); word != "" {
		text += " " + word
	}
	if e.Body != "" {
		text += ": " + e.Body
	}
	return text
}

// A ContentTypeError says that a page is in no format that kinglet reads.
type ContentTypeError struct {
	ContentType string
	// Err is what was wrong with the page when it was read as the fallback
	// protocol has it; nil if there is none.
	Err error
}

func (e *ContentTypeError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%v (Content-Type %q is no format of metrics)", e.Err, cut(e.ContentType))
	}
	return fmt.Sprintf("Content-Type %q is no format of metrics: want text/plain, or a fallback_scrape_protocol", cut(e.ContentType))
}

func (e *ContentTypeError) Unwrap() error { return e.Err }

// pager gets the page of one target and feeds it to a walk, which is finished
// then, but not committed. It returns the page's length in bytes.
type pager interface {
	fetch(ctx context.Context, w *walk) (bodyBytes int64, err error)
	// close lets go of what is kept between two pages.
	close()
}

// newPager is the pager of a target.
func newPager(t *Target, scratch scratch) (pager, error) {
	if t.Gather != nil {
		return gatherer(t.Gather), nil
	}
	fetched, err := newFetcher(t, scratch)
	switch {
	case err != nil:
		return nil, err
	case t.Explain == nil:
		return fetched, nil
	}
	return explaining{fetched, t.Explain}, nil
}

// gatherer is a page that is made in this process.
type gatherer func() ([]byte, error)

func (g gatherer) fetch(_ context.Context, w *walk) (int64, error) {
	page, err := g()
	if err != nil {
		return 0, err
	}
	rest, err := w.feed(page)
	if err != nil {
		return 0, err
	}
	return int64(len(page)), w.finish(rest)
}

func (gatherer) close() {}

// fetcher is the page that a target serves over HTTP.
type fetcher struct {
	target  *Target
	req     *http.Request
	lean    *lean // nil for targets that it is not for
	scratch scratch
	unzip   *gzip.Reader

	contentType string // of the last page, and what it says; most are as the one before
	format      promtext.Format
	known       bool
}

func newFetcher(t *Target, scratch scratch) (*fetcher, error) {
	req, err := http.NewRequest(http.MethodGet, t.URL, nil)
	if err != nil {
		return nil, errors.New("the URL cannot be requested") // the error would show it
	}
	req.Header.Set("Accept", t.accept())
	req.Header.Set("User-Agent", t.UserAgent)
	req.Header.Set("X-Prometheus-Scrape-Timeout-Seconds", strconv.FormatFloat(t.Timeout.Seconds(), 'f', -1, 64))
	encoding := "gzip"
	if t.SameNode || sameNode(t.URL) {
		encoding = "identity"
	}
	req.Header.Set("Accept-Encoding", encoding)
	return &fetcher{target: t, req: req, lean: newLean(t, req), scratch: scratch}, nil
}

func (f *fetcher) close() {
	if f.lean != nil {
		f.lean.client.CloseIdle()
	}
}

// fetch makes one request and reads its page into w, within the target's
// timeout and limits.
func (f *fetcher) fetch(ctx context.Context, w *walk) (bodyBytes int64, err error) {
	if f.lean != nil {
		bodyBytes, err = f.fetchLean(ctx, w)
		if !is[*leanhttp.UnusualError](err) {
			return bodyBytes, err
		}
		f.lean = nil // what was unusual once will be again
	}
	ctx, cancel := context.WithTimeout(ctx, f.target.Timeout)
	defer cancel()
	late := func() bool { return errors.Is(ctx.Err(), context.DeadlineExceeded) }
	resp, err := f.send(ctx)
	if err != nil {
		return 0, f.explain(late(), err, waiting)
	}
	defer resp.Body.Close()
	gzipped := strings.EqualFold(resp.Header.Get("Content-Encoding"), "gzip")
	if resp.StatusCode != http.StatusOK {
		if gzipped {
			return 0, &StatusError{Code: resp.StatusCode} // which says enough
		}
		return 0, f.target.badStatus(resp.StatusCode, resp.Body)
	}
	body, err := f.body(resp.Body, gzipped)
	if err != nil {
		return 0, f.explain(late(), err, "reading the body")
	}
	window := f.scratch.windows.get()
	defer f.scratch.windows.put(window)
	err = f.page(resp.Header.Get("Content-Type"), body, window, w)
	return body.read, f.explain(late(), err, "reading the body")
}

// page reads a page of that type into w. The window is scratch.
func (f *fetcher) page(contentType string, body io.Reader, window []byte, w *walk) error {
	if contentType != f.contentType {
		f.contentType = contentType
		f.format, f.known = promtext.FormatOf(contentType)
	}
	format, known := f.format, f.known
	if !known {
		if f.target.Fallback == "" {
			if n, _ := io.ReadFull(body, make([]byte, 1)); n == 0 {
				return nil // an empty page needs no type
			}
			return &ContentTypeError{ContentType: contentType}
		}
		format = f.target.Fallback.Format()
	}
	var err error
	if format == promtext.Text && !w.l.cfg.CustomBuckets {
		err = readText(body, window, w)
	} else {
		err = readWhole(body, w, format)
	}
	if is[*promtext.SyntaxError](err) && !known && contentType != "" {
		err = &ContentTypeError{contentType, err}
	}
	return err
}

// body is the uncompressed body, which ends with an error at the size limit.
func (f *fetcher) body(from io.Reader, gzipped bool) (*limitedReader, error) {
	if gzipped {
		if f.unzip == nil {
			f.unzip = new(gzip.Reader)
		}
		if err := f.unzip.Reset(from); err != nil {
			return nil, fmt.Errorf("gzip: %w", err)
		}
		from = f.unzip
	}
	return &limitedReader{from: from, limit: f.target.BodySizeLimit}, nil
}

// readText feeds the page line by line. Only a window of it is in memory,
// which grows if a line is longer.
func readText(body io.Reader, window []byte, w *walk) error {
	filled := 0
	for {
		n, err := body.Read(window[filled:])
		filled += n
		rest, lineErr := w.feed(window[:filled])
		if lineErr != nil {
			return lineErr
		}
		if err == io.EOF {
			return w.finish(rest)
		}
		if err != nil {
			return err
		}
		if len(rest) == len(window) {
			if len(window) >= lineBytes {
				return &promtext.SyntaxError{Line: w.number + 1, Problem: fmt.Sprintf("the line is longer than %d bytes", lineBytes)}
			}
			window = append(window, make([]byte, len(window))...) // the grown one is not pooled
			filled = len(rest)
			continue
		}
		filled = copy(window, rest)
	}
}

// readWhole reads a page of a format that is not read line by line.
func readWhole(body io.Reader, w *walk, format promtext.Format) error {
	page := bytes.NewBuffer(make([]byte, 0, w.l.wholeBytes+bytes.MinRead))
	_, err := page.ReadFrom(chargedReader{body, w.l})
	if err != nil || page.Len() == 0 { // an empty page is one of any format
		return err
	}
	w.l.wholeBytes = page.Len()
	return w.page(page.Bytes(), format)
}

// badStatus makes an error of an answer that is no page.
func (t *Target) badStatus(status int, body io.Reader) error {
	text, err := io.ReadAll(io.LimitReader(body, discardBytes))
	if err != nil {
		text = nil // the status says enough
	}
	line := strings.Join(strings.Fields(string(text[:min(len(text), excerptBytes)])), " ")
	return &StatusError{Code: status, Body: t.hide(strings.ToValidUTF8(line, "?"))}
}

// waiting is what a scrape does before the first byte of an answer.
const waiting = "waiting for the answer"

// explain says when in a scrape a timeout struck.
func (f *fetcher) explain(late bool, err error, doing string) error {
	if err != nil && late {
		return &TimeoutError{After: f.target.Timeout, Doing: doing}
	}
	if doing == waiting && errors.Is(err, io.EOF) {
		return &noAnswerError{err}
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%s: the target closed the connection too early: %w", doing, err)
	}
	return err
}

// noAnswerError is a connection that ended before the first byte of an answer.
type noAnswerError struct{ err error }

func (e *noAnswerError) Error() string { return "the target closed the connection without an answer" }

func (e *noAnswerError) Unwrap() error { return e.err }

// A TimeoutError says what a scrape was doing when its time was over.
type TimeoutError struct {
	After time.Duration
	Doing string
}

func (e *TimeoutError) Error() string {
	return fmt.Sprintf("timeout after %v while %s", e.After, e.Doing)
}

// limitedReader reads at most limit bytes, and then fails. 0 = no limit.
type limitedReader struct {
	from  io.Reader
	limit int64
	read  int64
}

func (r *limitedReader) Read(p []byte) (int, error) {
	if r.limit > 0 {
		// One byte more than allowed tells a page that is too long.
		p = p[:min(int64(len(p)), r.limit-r.read+1)]
	}
	n, err := r.from.Read(p)
	r.read += int64(n)
	if r.limit > 0 && r.read > r.limit {
		return 0, &LimitError{sizeLimitName, fmt.Sprintf("the page has more than %d bytes", r.limit)}
	}
	return n, err
}
