package httpclient

import (
	"context"
	"net/http"
	"net/url"
)

// Plain reports whether requests of u go to its host directly and without TLS,
// so that a simpler client may send them, decorated as DecorateAs does.
func (c *Client) Plain(u *url.URL) bool {
	if u.Scheme != "http" || len(c.files) > 0 || c.cfg.FollowRedirects {
		return false
	}
	if c.proxy == nil {
		return true
	}
	proxy, err := c.proxy(&http.Request{URL: u})
	return err == nil && proxy == nil
}

// Authorization is the value of the header of that name, "" for none. With
// OAuth2 it may block to fetch a token, but not beyond ctx; a file with a secret
// is read each time.
func (c *Client) Authorization(ctx context.Context) (string, error) { return c.authorization(ctx) }

// DecorateAs is Decorate with what Authorization gave.
func (c *Client) DecorateAs(req *http.Request, authorization string) { c.decorate(req, authorization) }
