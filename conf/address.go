package conf

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"time"
)

// localIP is the address that $ip stands for: HOSTIP, else the local address
// of a route to the first host of endpoints that is not this machine, else the
// first IPv4 address of an interface that is not loopback. No packet is sent.
func localIP(env func(string) (string, bool), endpoints []string) (string, error) {
	if ip, ok := env("HOSTIP"); ok && ip != "" {
		return ip, nil
	}
	for _, endpoint := range endpoints {
		if ip, ok := addressTowards(endpoint); ok {
			return ip, nil
		}
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return "", errors.New("uses $ip, but the interfaces of this host cannot be listed; set the environment variable HOSTIP")
	}
	for _, a := range addrs {
		prefix, err := netip.ParsePrefix(a.String())
		if err == nil && prefix.Addr().Is4() && !prefix.Addr().IsLoopback() {
			return prefix.Addr().String(), nil
		}
	}
	return "", errors.New("uses $ip, but this host has no IPv4 address other than loopback; set the environment variable HOSTIP")
}

// lookupTimeout bounds the wait for the name of an endpoint.
const lookupTimeout = 3 * time.Second

// addressTowards is the local address that packets to an endpoint would have.
// A UDP "connection" asks the routing table and sends nothing.
func addressTowards(endpoint string) (string, bool) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Hostname() == "" || u.Hostname() == "localhost" {
		return "", false
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil && ip.IsLoopback() {
		return "", false
	}
	port := u.Port()
	if port == "" {
		port = "80"
	}
	dialer := net.Dialer{Timeout: lookupTimeout}
	conn, err := dialer.Dial("udp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return "", false
	}
	defer conn.Close()
	local, ok := conn.LocalAddr().(*net.UDPAddr)
	if !ok || local.IP.IsLoopback() {
		return "", false
	}
	return local.IP.String(), true
}
