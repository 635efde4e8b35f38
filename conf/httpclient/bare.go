package httpclient

// Bare reports whether the client adds nothing to a request for a http:// URL
// and dials its host directly, so that a simpler client may stand in for it.
func (c *Client) Bare() bool {
	cfg := c.cfg
	return cfg.Username == "" && cfg.BearerToken == "" && cfg.BearerTokenFile == "" && !cfg.OAuth2.On() &&
		len(cfg.Headers) == 0 && cfg.ProxyURL == ""
}
