package httpclient

import "net/http"

// Renewed reports whether a file of c holds another password or token by now
// than the one that sent, a request that Do has sent, took along: who was
// answered 401 may then ask once more. Tokens of OAuth 2.0 are not looked at.
func (c *Client) Renewed(sent *http.Request) bool {
	if c.tokens != nil || c.cfg.BearerTokenFile == "" && c.cfg.PasswordFile == "" {
		return false
	}
	for i := 0; i < len(c.cfg.Headers); i += 2 {
		if http.CanonicalHeaderKey(c.cfg.Headers[i]) == "Authorization" {
			return false // it covers what is in the file
		}
	}
	now, err := c.authorization(sent.Context())
	return err == nil && now != sent.Header.Get("Authorization")
}
