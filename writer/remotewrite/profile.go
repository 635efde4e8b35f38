package remotewrite

import (
	"net/url"
	"strings"
)

// Profile is the kind of receiver that an endpoint is.
type Profile string

// Values of Config.Profile.
const (
	ProfileAuto            Profile = "auto" // find out, see identity
	ProfileNightingale     Profile = "nightingale"
	ProfileVictoriaMetrics Profile = "victoriametrics"
	ProfilePrometheus      Profile = "prometheus"
	ProfileMimir           Profile = "mimir" // Cortex too
	ProfileThanos          Profile = "thanos"
	ProfileOther           Profile = "other" // any other, with the most careful habits
)

var profiles = []Profile{
	ProfileAuto, ProfileNightingale, ProfileVictoriaMetrics, ProfilePrometheus, ProfileMimir, ProfileThanos, ProfileOther,
}

// Habits are what a receiver wants of a sender beside what the protocol says.
// Whatever the receiver is, 429, 499 and 5xx are retried, and a 400 is not: its
// request may go again in parts.
type Habits struct {
	// Message2 says that 2.0 may be tried, if the user wants it: the receiver
	// does not answer 2xx to it and store nothing.
	Message2 bool
	// Zstd says that 1.0 may be compressed with zstd.
	Zstd bool
	// OneRowPerTarget says that a request should hold one sample of a series:
	// the receiver may stamp the first of each with its own clock.
	OneRowPerTarget bool
	// FreshShare is the share of requests, 0 to 1, that carries new samples
	// while those of an outage are being sent. 0, for receivers that refuse
	// samples which come out of order, is the oldest first, always.
	FreshShare float64
	// TakesRest says that what is refused of a request is only what the receiver
	// found fault with, and the rest of it is stored: sending that again in parts
	// is of no use.
	TakesRest bool
}

// freshShare divides the requests evenly: no sample of now is late, and an
// outage is made good in twice the time.
const freshShare = 0.5

// Habits of the receivers of that profile. ProfileAuto has those of
// ProfileOther, until it is known better.
//
// Nightingale hands samples on to a store that it does not name, and hides what
// that refuses: only the order of time is safe.
func (p Profile) Habits() Habits {
	switch p {
	case ProfileNightingale:
		return Habits{OneRowPerTarget: true}
	case ProfileVictoriaMetrics:
		return Habits{Zstd: true, FreshShare: freshShare}
	case ProfilePrometheus:
		return Habits{Message2: true}
	case ProfileMimir, ProfileThanos:
		return Habits{Message2: true, TakesRest: true}
	}
	return Habits{Message2: true, OneRowPerTarget: true}
}

// Habits are those of the profile, with what the user configured in their
// place.
func (c Config) Habits(p Profile) Habits {
	h := p.Habits()
	if c.FreshShare != nil {
		h.FreshShare = *c.FreshShare
	}
	return h
}

// Paths to which one kind of receiver alone is written.
var tellingPaths = []struct {
	suffix  string
	profile Profile
}{
	{"/prometheus/v1/write", ProfileNightingale},
	{"/proxy/v1/write", ProfileNightingale},
	{"/api/v1/push", ProfileMimir},
	{"/api/prom/push", ProfileMimir},
	{"/api/v1/receive", ProfileThanos},
}

// commonPath is that of Prometheus, of VictoriaMetrics, and of many others.
const commonPath = "/api/v1/write"

// profileOfPath is what the path of an endpoint says of it. If it says nothing,
// ask is the path that its other pages have in common, provided that there may
// be such: a path that is nobody's custom is not asked about.
func profileOfPath(path string) (p Profile, ask string, askable bool) {
	path = strings.TrimSuffix(path, "/")
	for _, t := range tellingPaths {
		if strings.HasSuffix(path, t.suffix) {
			return t.profile, "", false
		}
	}
	base, common := strings.CutSuffix(path, commonPath)
	if common && strings.Contains(base, "/insert/") && strings.HasSuffix(base, "/prometheus") {
		return ProfileVictoriaMetrics, "", false // a cluster's vminsert
	}
	return ProfileOther, base, common
}

// startingProfile is the profile to begin with, and the URLs of pages by which
// to find a better one, if any.
func (c Config) startingProfile() (Profile, []page) {
	if c.Profile != ProfileAuto && c.Profile != "" {
		return c.Profile, nil
	}
	u, err := url.Parse(c.URL)
	if err != nil {
		return ProfileOther, nil
	}
	p, base, askable := profileOfPath(u.Path)
	if !askable {
		return p, nil
	}
	at := func(path string) string {
		other := *u
		other.Path, other.RawPath, other.RawQuery, other.Fragment = path, "", "", ""
		return other.String()
	}
	return p, []page{
		{at(base + "/api/v1/status/buildinfo"), builtBy},
		{at(strings.TrimSuffix(base, "/prometheus") + "/api/n9e/version"), versionOfNightingale},
	}
}
