package remotewrite

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

const (
	askTimeout = 3 * time.Second // for each page
	maxPage    = 64 << 10        // bytes that are read of one
	askAgain   = 12 * time.Hour  // the receiver may have been replaced
	askSoon    = 10 * time.Minute
	// backlogAge is the age from which samples are an outage's: only then does
	// it matter in which order and how many a receiver likes to have them.
	backlogAge = time.Minute
)

// identity is what is known of the receiver behind an endpoint. With the profile
// "auto" its path is asked first, then at most two pages beside it, by GET: no
// sample is ever written to learn something. That happens only where the answer
// makes a difference, and again after 12 hours. It belongs to the sender's
// goroutine.
type identity struct {
	profile Profile
	pages   []page    // none if the profile is settled
	next    time.Time // when to ask, at the earliest
}

func newIdentity(cfg Config) identity {
	p, pages := cfg.startingProfile()
	return identity{profile: p, pages: pages}
}

// ask asks for the pages, and reports whether the profile is another now.
func (i *identity) ask(ctx context.Context, client *Client) (changed bool) {
	now := time.Now()
	if len(i.pages) == 0 || now.Before(i.next) {
		return false
	}
	i.next = now.Add(askAgain)
	for _, p := range i.pages {
		found, err := p.ask(ctx, client)
		if err != nil {
			i.next = now.Add(askSoon) // what is known stays
			return false
		}
		if found != "" {
			changed = found != i.profile
			i.profile = found
			return changed
		}
	}
	changed = i.profile != ProfileOther
	i.profile = ProfileOther
	return changed
}

// page is one by which receivers can be told apart.
type page struct {
	url   string
	reads func(*http.Response, []byte) Profile // "" if it says nothing
}

// ask fetches p, with the credentials and headers of the writer.
func (p page) ask(ctx context.Context, client *Client) (Profile, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url, http.NoBody)
	if err != nil {
		return "", errUnreadableURL
	}
	request.Header.Set("User-Agent", client.userAgent)
	response, err := client.http.Do(request)
	if err != nil {
		return "", fmt.Errorf("ask what receives: %w", withoutURL(err))
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxPage))
	if err != nil {
		return "", fmt.Errorf("read what receives: %w", err)
	}
	return p.reads(response, body), nil
}

// builtBy reads the page of build information that all but Nightingale have.
// VictoriaMetrics' programs put their host name into every answer.
func builtBy(r *http.Response, body []byte) Profile {
	if r.Header.Get("X-Server-Hostname") != "" {
		return ProfileVictoriaMetrics
	}
	var info struct {
		Data struct{ Application, Version, Revision, GoVersion string }
	}
	if r.StatusCode != http.StatusOK || json.Unmarshal(body, &info) != nil {
		return ""
	}
	switch application := info.Data.Application; {
	case strings.Contains(application, "Mimir"), strings.Contains(application, "Cortex"), strings.Contains(application, "Enterprise Metrics"):
		return ProfileMimir
	case application == "" && info.Data.Version != "" && info.Data.Revision != "" && info.Data.GoVersion != "":
		return ProfilePrometheus // so has the database that is built into Nightingale, which keeps timestamps
	}
	return ""
}

// versionOfNightingale reads the page of that name: its version, as text.
func versionOfNightingale(r *http.Response, body []byte) Profile {
	if r.StatusCode == http.StatusOK && strings.HasPrefix(r.Header.Get("Content-Type"), "text/plain") &&
		len(body) > 0 && len(body) < 100 && !strings.ContainsAny(string(body), "<>{}") {
		return ProfileNightingale
	}
	return ""
}
