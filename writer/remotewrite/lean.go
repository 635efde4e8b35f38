package remotewrite

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"kinglet/conf/httpclient"
	"kinglet/conf/leanhttp"
)

// lean posts bodies to an endpoint that is reached directly over plain HTTP: by
// one write of the head and the blocks as they lie, on a connection that it
// keeps. It may be used by several goroutines.
type lean struct {
	client  *httpclient.Client
	url     *url.URL
	address string
	dialer  net.Dialer
	tokens  bool // the authorization may have to be fetched
	keep    int  // connections
	off     atomic.Bool

	mu   sync.Mutex
	idle []*line
}

// line is a connection of an endpoint, and what is reused with it.
type line struct {
	client *leanhttp.Client
	heads  [formZstd + 1]requestHead // of first attempts, by form
	buffer []byte                    // the answer
	parts  [][]byte                  // the request
	head   []byte                    // its first part
}

// requestHead is a request's head with a gap where the length of the body goes.
type requestHead struct {
	authorization string
	before, after []byte
}

// answerBuffer is for the head of an answer and the beginning of its body.
const answerBuffer = 8 << 10

// errNotLean says that a request, or the answer to it, is not for the lean way.
var errNotLean = errors.New("this takes a full HTTP client")

// newLean is nil if the endpoint of cfg needs net/http.
func newLean(cfg Config, client *httpclient.Client) *lean {
	u, err := url.Parse(cfg.URL)
	if err != nil || u.Hostname() == "" || !isASCII(u.Host) || !client.Plain(u) {
		return nil
	}
	port := u.Port()
	if port == "" {
		port = "80"
	}
	return &lean{
		client: client, url: u, address: net.JoinHostPort(u.Hostname(), port), tokens: cfg.OAuth2.On(),
		dialer: net.Dialer{Timeout: cfg.DialTimeout(), KeepAlive: 30 * time.Second}, keep: max(cfg.MaxIdleConnsPerHost, 1),
	}
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

func (l *lean) usable() bool { return l != nil && !l.off.Load() }

// forget closes idle connections. It may be called on nil.
func (l *lean) forget() {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.idle {
		line.client.CloseIdle()
	}
	l.idle = nil
}

// take gives a line to whoever gives it back.
func (l *lean) take() *line {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.idle); n > 0 {
		line := l.idle[n-1]
		l.idle = l.idle[:n-1]
		return line
	}
	return &line{client: leanhttp.New(l.address, l.dialer), buffer: make([]byte, answerBuffer)}
}

func (l *lean) giveBack(line *line) {
	line.client.Discard()
	clear(line.parts) // the blocks are not ours
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.idle) < l.keep {
		l.idle = append(l.idle, line)
	} else {
		line.client.CloseIdle()
	}
}

// post is Client.Post. It returns errNotLean, then and ever after, if the
// endpoint turns out to need net/http.
func (l *lean) post(ctx context.Context, c *Client, body Body, attempt int) (Answer, error) {
	deadline := time.Now().Add(c.timeout)
	line := l.take()
	defer l.giveBack(line)
	head, err := l.headOf(ctx, deadline, c, line, body.form, attempt)
	if errors.Is(err, errNotLean) {
		l.off.Store(true)
		return Answer{}, err
	}
	if err != nil {
		return Answer{}, c.failed(!time.Now().Before(deadline), err, body)
	}
	line.head = append(line.head[:0], head.before...)
	line.head = strconv.AppendInt(line.head, int64(body.size), 10)
	line.head = append(line.head, head.after...)
	line.parts = append(append(line.parts[:0], line.head), body.parts...)
	answered, err := line.client.Do(ctx, deadline, line.parts, line.buffer)
	if unusual, ok := errors.AsType[*leanhttp.UnusualError](err); ok && unusual != nil {
		l.off.Store(true)
		return Answer{}, errNotLean
	}
	if err != nil {
		return Answer{}, c.failed(!time.Now().Before(deadline), err, body)
	}
	field := func(name string) string { return string(answered.Field(name)) }
	answer := Answer{Status: answered.Status, Written: writtenBy(field)}
	if answer.Status/100 == 2 {
		line.finish(nil)
		return answer, nil
	}
	retry := field("retry-after") // finish overwrites it
	return answer, c.statusError(answer.Status, line.finish(make([]byte, 0, maxErrorText)), retry)
}

// finish reads the rest of an answer, so that the connection can be used again,
// and gives what of it fits into text. Whether that works changes nothing: the
// status is known.
func (l *line) finish(text []byte) []byte {
	for read := 0; read < maxErrorText+maxAnswer; {
		n, err := l.client.Read(l.buffer)
		read += n
		text = append(text, l.buffer[:min(n, cap(text)-len(text))]...)
		if err != nil {
			break // io.EOF where all is well
		}
	}
	return text
}

// headOf is the head of a request with the credentials of now.
func (l *lean) headOf(ctx context.Context, deadline time.Time, c *Client, line *line, form form, attempt int) (requestHead, error) {
	if l.tokens {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline)
		defer cancel()
	}
	authorization, err := l.client.Authorization(ctx)
	if err != nil {
		return requestHead{}, err
	}
	kept := &line.heads[form]
	if attempt == 0 && kept.before != nil && kept.authorization == authorization {
		return *kept, nil
	}
	request, err := c.request(ctx, Body{form: form}, attempt)
	if err != nil {
		return requestHead{}, err
	}
	l.client.DecorateAs(request, authorization)
	head, err := render(request)
	head.authorization = authorization
	if err == nil && attempt == 0 {
		*kept = head
	}
	return head, err
}

// render writes the head of a request as net/http would.
func render(request *http.Request) (requestHead, error) {
	request.Body, request.ContentLength = nil, 0
	if user := request.URL.User; user != nil && request.Header.Get("Authorization") == "" {
		password, _ := user.Password()
		request.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(user.Username()+":"+password)))
	}
	var text bytes.Buffer
	if err := request.Write(&text); err != nil {
		return requestHead{}, errNotLean // net/http will say what is wrong
	}
	const length = "\r\nContent-Length: "
	before, after, ok := bytes.Cut(text.Bytes(), []byte(length+"0"))
	if !ok || bytes.ContainsFunc(text.Bytes(), func(r rune) bool { return r < ' ' && r != '\t' && r != '\r' && r != '\n' || r == 0x7f }) {
		return requestHead{}, errNotLean
	}
	return requestHead{before: append(bytes.Clone(before), length...), after: after}, nil
}
