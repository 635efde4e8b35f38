package httpclient

import (
	"cmp"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// hiddenBytes is the shortest value that is hidden: shorter ones stand in
// ordinary sentences.
const hiddenBytes = 6

// Hidden stands in the place of a secret.
const Hidden = "<secret>"

// Hider makes a text of a server fit to be shown. Some repeat what they were
// asked, the address with its query above all, so the secrets of c that are not
// in files, and those of the address, are taken out, and with them whatever a
// terminal would obey. It is safe for concurrent use.
func (c Config) Hider(address string) func(text string) string {
	values := []string{c.BearerToken, c.OAuth2.ClientSecret}
	login := func(user, password string) {
		if password != "" {
			values = append(values, password, base64.StdEncoding.EncodeToString([]byte(user+":"+password)))
		}
	}
	login(c.Username, c.Password)
	for i := 0; i+1 < len(c.Headers); i += 2 {
		switch http.CanonicalHeaderKey(c.Headers[i]) {
		case "Host", "X-Scope-Orgid", "Thanos-Tenant": // no secrets, and what a server's complaint is about
		default:
			values = append(values, c.Headers[i+1])
		}
	}
	if u, err := url.Parse(address); err == nil {
		password, _ := u.User.Password()
		login(u.User.Username(), password)
		for _, all := range u.Query() {
			values = append(values, all...)
		}
	}
	return hider(values)
}

// Hider is that of the client's settings.
func (c *Client) Hider(address string) func(text string) string { return c.cfg.Hider(address) }

func hider(values []string) func(string) string {
	values = slices.DeleteFunc(values, func(v string) bool { return len(v) < hiddenBytes })
	for _, v := range slices.Clone(values) {
		values = append(values, url.QueryEscape(v), url.PathEscape(v))
	}
	slices.SortFunc(values, func(a, b string) int { return cmp.Or(len(b)-len(a), cmp.Compare(a, b)) }) // none hides a part of another
	values = slices.Compact(values)
	var pairs []string
	for _, v := range values {
		pairs = append(pairs, v, Hidden)
	}
	secrets := strings.NewReplacer(pairs...)
	return func(text string) string { return Printable(secrets.Replace(text)) }
}

// Printable is a text with ? for bytes that are no UTF-8 and for control
// characters but line breaks and tabs: what comes from outside is not to move a
// terminal's cursor.
func Printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && r != '\r' && (r < ' ' || r >= 0x7f && r < 0xa0) {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
}
