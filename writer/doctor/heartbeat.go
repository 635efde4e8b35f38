package doctor

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"kinglet/writer/heartbeat"
	"kinglet/writer/remotewrite"
)

// Heartbeat looks at the address of [heartbeat]. It sends one without a host
// name, which Nightingale refuses, and enters no host. It blocks for about five
// times o.Timeout at most.
func Heartbeat(ctx context.Context, cfg heartbeat.Config, o Options) Report {
	as := remotewrite.DefaultConfig() // a client of the same way
	as.URL, as.User, as.Pass, as.PassFile = cfg.URL, cfg.User, cfg.Pass, cfg.PassFile
	if cfg.Pass == "" && cfg.PassFile == "" {
		as.User = "" // as the heartbeat does
	}
	as.Headers, as.ProxyURL, as.TLS = cfg.Headers, cfg.HTTPProxy, cfg.TLS
	r := Report{Of: "heartbeat", URL: as.DisplayURL()}
	r.examine(as, o, func(e *examination) {
		if !e.reach(ctx) {
			return
		}
		answer, err := e.client.ProbeJSON(ctx, "{}")
		if e.lets(answer, err) {
			e.beats(answer)
		}
	})
	return r
}

// beats checks how a heartbeat without a host name was answered.
func (e *examination) beats(answer remotewrite.ProbeAnswer) {
	const name = "heartbeat"
	var body struct{ Err string }
	_ = json.Unmarshal([]byte(answer.Text), &body) // no JSON, no err
	takes := strings.Contains(body.Err, "hostname") || answer.Status == http.StatusBadRequest && strings.Contains(answer.Text, "hostname")
	switch {
	case takes:
		e.add(name, OK, "takes heartbeats; this one had no host name and was refused for that, as it should be")
	case answer.Status/100 == 2:
		e.add(name, Warn, "answered %d%s, not as Nightingale does: is url that of /v1/n9e/heartbeat?", answer.Status, said(answer))
	case answer.Status == http.StatusNotFound, answer.Status == http.StatusMethodNotAllowed:
		e.add(name, Fail, "answered %d: nothing takes heartbeats at this path, Nightingale has it at /v1/n9e/heartbeat", answer.Status)
	case answer.Status/100 == 3:
		e.add(name, Fail, "answered %d, a redirect to %q, which is not followed: write the address it leads to into url", answer.Status, answer.Location)
	default:
		e.add(name, Fail, "answered %d%s", answer.Status, said(answer))
	}
}
