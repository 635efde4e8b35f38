package doctor

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/url"
	"strings"
	"time"

	"kinglet/writer/remotewrite"
)

// expiresSoon is how long before its end a certificate is worth a word.
const expiresSoon = 14 * 24 * time.Hour

// talk posts a request without samples and checks all that its answer shows. It
// reports whether the endpoint takes requests.
func (e *examination) talk(ctx context.Context) bool {
	answer, err := e.client.Probe(ctx, remotewrite.Probe1)
	return e.lets(answer, err) && e.takes(answer)
}

// lets checks all that comes before what was asked for: the connection, the
// clock, and whether we are let in.
func (e *examination) lets(answer remotewrite.ProbeAnswer, err error) bool {
	if err != nil {
		e.noAnswer(err)
		return false
	}
	if strings.Contains(answer.Text, "HTTP request to an HTTPS server") {
		e.add("tls", Fail, "the endpoint speaks TLS: want https:// in url")
		return false
	}
	if answer.TLS != nil {
		e.certificate(answer.TLS)
	}
	e.clock(answer)
	return e.auth(answer)
}

func (e *examination) noAnswer(err error) {
	if fault := tlsFault(err); fault != "" {
		e.add("tls", Fail, "%s", fault)
		return
	}
	if fault := secretFault(err); fault != "" {
		e.add("auth", Fail, "%s: nothing is sent until it can be read", fault)
		return
	}
	if e.cfg.OAuth2.On() && strings.Contains(err.Error(), "token") {
		e.add("auth", Fail, "%s", oneLine(err.Error()))
		return
	}
	e.add("http", Fail, "no answer (%s): is there an HTTP server at this port, and not too slow?", oneLine(err.Error()))
}

// certificate checks that of a connection that was made.
func (e *examination) certificate(state *tls.ConnectionState) {
	if len(state.PeerCertificates) == 0 {
		e.add("tls", Warn, "the endpoint shows no certificate")
		return
	}
	c := state.PeerCertificates[0]
	left := time.Until(c.NotAfter)
	switch {
	case e.cfg.InsecureSkipVerify:
		e.add("tls", Warn, "the certificate is not checked, anyone on the way can read and change what is sent: set tls_ca in place of insecure_skip_verify")
	case left < expiresSoon:
		e.add("tls", Warn, "the certificate ends on %s, in %d days: renew it", day(c.NotAfter), int(left/(24*time.Hour)))
	default:
		e.add("tls", OK, "%s, certificate for %s until %s", tls.VersionName(state.Version), namesOf(c), day(c.NotAfter))
	}
}

// Clock differences that matter. Date is cut to seconds, and an answer takes
// its time.
const (
	clockWarn = 5 * time.Second
	clockFail = 5 * time.Minute // some stores refuse what is 10 minutes ahead
)

func (e *examination) clock(answer remotewrite.ProbeAnswer) {
	if answer.Date.IsZero() {
		e.add("clock", Skip, "the answer has no Date, so the clocks cannot be compared")
		return
	}
	// The answer was dated between these two, by its clock cut to the second.
	ahead, behind := answer.SentAt.Sub(answer.Date.Add(time.Second)), answer.Date.Sub(answer.GotAt)
	off, word := max(ahead, 0), "ahead of"
	if behind > off {
		off, word = behind, "behind"
	}
	const advice = "this node's clock is %v %s the endpoint's: mend the one that is wrong (NTP)"
	switch {
	case off > clockFail:
		e.add("clock", Fail, advice, off.Round(time.Second), word)
	case off > clockWarn:
		e.add("clock", Warn, advice, off.Round(time.Second), word)
	default:
		e.add("clock", OK, "this node's clock is within %v of the endpoint's", clockWarn)
	}
}

// auth checks whether the endpoint lets us in.
func (e *examination) auth(answer remotewrite.ProbeAnswer) bool {
	way := e.credentials()
	switch {
	case answer.Status == http.StatusProxyAuthRequired:
		e.add("auth", Fail, "the proxy wants credentials: write them into proxy_url")
		return false
	case answer.Status == http.StatusUnauthorized && way == "":
		e.add("auth", Fail, "answered 401 and no credentials are configured: set basic_auth_user and basic_auth_pass, or bearer_token_string")
		return false
	case answer.Status == http.StatusUnauthorized:
		e.add("auth", Fail, "answered 401: the credentials of %s are wrong or have ended", way)
		return false
	case answer.Status == http.StatusForbidden:
		e.add("auth", Fail, "answered 403%s: the credentials may not write, or this node's address may not", said(answer))
		return false
	case answer.Status/100 != 2:
		return true // it may not have looked at them
	case way == "":
		e.add("auth", OK, "the endpoint asks for no credentials")
	default:
		e.add("auth", OK, "lets us in by %s", way)
	}
	return true
}

// credentials is the key by which we log in, "" if there is none.
func (e *examination) credentials() string {
	c := e.cfg
	switch {
	case c.OAuth2.On():
		return "oauth2_client_id"
	case c.BearerToken != "" || c.BearerTokenFile != "":
		return "bearer_token"
	case c.User != "":
		return "basic_auth_user"
	}
	for i := 0; i+1 < len(c.Headers); i += 2 {
		if http.CanonicalHeaderKey(c.Headers[i]) == "Authorization" {
			return "headers"
		}
	}
	if u, err := url.Parse(c.URL); err == nil && u.User != nil {
		return "the user in url"
	}
	return ""
}

// takes checks how remote write 1.0 is answered.
func (e *examination) takes(answer remotewrite.ProbeAnswer) bool {
	const name = "write_1.0"
	switch status := answer.Status; {
	case status/100 == 2:
		e.add(name, OK, "answered %d to remote write 1.0", status)
		return true
	case status == http.StatusNotFound, status == http.StatusMethodNotAllowed:
		e.add(name, Fail, "answered %d%s: nothing takes remote write at this path. Nightingale has it at /prometheus/v1/write, VictoriaMetrics at /api/v1/write, Mimir at /api/v1/push, Thanos at /api/v1/receive, Prometheus at /api/v1/write if it was started with --web.enable-remote-write-receiver", status, said(answer))
	case status/100 == 3:
		e.add(name, Fail, "answered %d, a redirect to %q, which is not followed: write the address it leads to into url", status, answer.Location)
	case status == http.StatusTooManyRequests, status == 499:
		e.add(name, Warn, "answered %d%s: it is overloaded; samples wait and are sent again", status, said(answer))
		return true
	case status/100 == 5:
		e.add(name, Fail, "answered %d%s: it is in trouble itself; samples wait and are sent again", status, said(answer))
	case status == http.StatusBadRequest:
		e.add(name, Warn, "answered 400%s to a request without samples, as some do: --write tells more", said(answer))
		return true
	default:
		e.add(name, Fail, "answered %d%s: samples would be dropped", status, said(answer))
	}
	return false
}

// said is what an answer says, for the middle of a sentence.
func said(answer remotewrite.ProbeAnswer) string {
	if answer.Text == "" {
		return ""
	}
	return " (" + oneLine(answer.Text) + ")"
}
