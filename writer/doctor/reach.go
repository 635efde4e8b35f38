package doctor

import (
	"cmp"
	"context"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// ProxyFunc is the proxy for a request, nil for none.
type ProxyFunc func(*http.Request) (*url.URL, error)

// maxAddresses bounds how many addresses of a name are tried.
const maxAddresses = 16

// reach checks the way to the endpoint, or to the proxy before it, up to an
// open connection. It reports whether there is one.
func (e *examination) reach(ctx context.Context) bool {
	u, err := url.Parse(e.cfg.URL)
	if err != nil {
		e.add("config", Fail, "url cannot be read")
		return false
	}
	proxy, err := e.proxy(ctx, u)
	switch {
	case err != nil:
		e.add("proxy", Fail, "the proxy of the environment cannot be read: mend HTTP_PROXY and HTTPS_PROXY, or set proxy_url")
		return false
	case proxy != nil:
		e.add("proxy", OK, "goes by way of %s://%s, which finds and calls the endpoint itself", proxy.Scheme, proxy.Host)
		u = proxy
	}
	addresses := e.resolve(ctx, u.Hostname())
	return len(addresses) > 0 && e.connect(ctx, addresses, cmp.Or(u.Port(), defaultPorts[u.Scheme]))
}

var defaultPorts = map[string]string{"http": "80", "https": "443", "socks5": "1080"}

func (e *examination) proxy(ctx context.Context, u *url.URL) (*url.URL, error) {
	if e.cfg.ProxyURL != "" {
		return url.Parse(e.cfg.ProxyURL)
	}
	if e.options.Proxy == nil {
		return nil, nil
	}
	request := (&http.Request{URL: u}).WithContext(ctx)
	return e.options.Proxy(request)
}

// resolve checks the name, and gives its addresses.
func (e *examination) resolve(ctx context.Context, host string) []string {
	if net.ParseIP(strings.Split(host, "%")[0]) != nil {
		e.add("dns", OK, "%s is an address, no name", host)
		return []string{host}
	}
	resolver := e.options.Resolver
	if resolver == nil {
		resolver = net.DefaultResolver
	}
	ctx, cancel := context.WithTimeout(ctx, e.options.Timeout)
	defer cancel()
	found, err := resolver.LookupHost(ctx, host)
	if err != nil {
		e.add("dns", Fail, "%s has no address (%s): mend the name in url, or this node's resolver; in a pod on the host's network, cluster names need dnsPolicy: ClusterFirstWithHostNet", host, dnsFault(err))
		return nil
	}
	if len(found) > maxAddresses {
		e.add("dns", Warn, "%s has %d addresses, of which %d are tried", host, len(found), maxAddresses)
		return found[:maxAddresses]
	}
	e.add("dns", OK, "%s is %s", host, strings.Join(found, ", "))
	return found
}

// connect checks every address.
func (e *examination) connect(ctx context.Context, addresses []string, port string) bool {
	var bad []string
	last := ""
	for _, a := range addresses {
		dialer := net.Dialer{Timeout: min(e.options.Timeout, 3*time.Second)}
		conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(a, port))
		if err != nil {
			bad, last = append(bad, a), netFault(err)
			continue
		}
		_ = conn.Close() // nothing was sent
	}
	switch {
	case len(bad) == len(addresses):
		e.add("tcp", Fail, "no connection to port %s of %s (%s): is it running, and is the port right and open from this node?", port, strings.Join(bad, ", "), last)
		return false
	case len(bad) > 0:
		e.add("tcp", Warn, "port %s of %s does not answer (%s), the other %d addresses do: every connection that begins there is late", port, strings.Join(bad, ", "), last, len(addresses)-len(bad))
	default:
		e.add("tcp", OK, "port %s answers at every address", port)
	}
	return true
}
