package scrape

import (
	"net/url"
	"strings"

	"kinglet/conf/httpclient"
)

// secretWords mark parameters of a URL whose value is not shown. Others are: it
// is by them that targets of one exporter are told apart.
var secretWords = []string{"token", "key", "secret", "pass", "pwd", "auth", "credential", "signature", "session"}

// shownURL is the URL without credentials, as logs, pages and errors have it.
func shownURL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "(bad URL)"
	}
	u.User = nil
	parameters := strings.Split(u.RawQuery, "&")
	for i, p := range parameters {
		name, value, _ := strings.Cut(p, "=")
		if value != "" && isSecret(name) {
			parameters[i] = name + "=" + httpclient.Hidden
		}
	}
	u.RawQuery = strings.Join(parameters, "&")
	return u.String()
}

func isSecret(name string) bool {
	name = strings.ToLower(name)
	for _, word := range secretWords {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}

// hide takes the secrets of a target out of a text that it answered.
func (t *Target) hide(text string) string {
	if t.Client == nil {
		return httpclient.Config{}.Hider(t.URL)(text)
	}
	return t.Client.Hider(t.URL)(text)
}
