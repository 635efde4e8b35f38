package conf

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
)

func TestExpand(t *testing.T) {
	env := map[string]string{"NAME": "n1", "_X9": "x", "EMPTY": "", "RAW": `a"b\$NAME`, "BYTES": "\xff"}
	v := &variables{
		env:      func(name string) (string, bool) { s, ok := env[name]; return s, ok },
		hostname: func() (string, error) { return "host", nil },
		ip:       func() (string, error) { return "10.0.0.7", nil },
	}
	for _, tt := range []struct{ name, in, all, braces string }{
		{"no variable", "plain", "plain", "plain"},
		{"bare name", "a-$NAME/b", "a-n1/b", "a-$NAME/b"},
		{"name in braces", "a${NAME}b", "an1b", "an1b"},
		{"name ends at what no name has", "$_X9-$NAME.", "x-n1.", "$_X9-$NAME."},
		{"empty is set", "<$EMPTY>", "<>", "<$EMPTY>"},
		{"values go in as they are", "${RAW}", `a"b\$NAME`, `a"b\$NAME`},
		{"hostname", "$hostname ${hostname}", "host host", "$hostname host"},
		{"ip", "$ip:1 ${ip}:1", "10.0.0.7:1 10.0.0.7:1", "$ip:1 10.0.0.7:1"},
		{"specials are found in front of letters, as in Categraf", "$hostnamex $ipaddr", "hostx 10.0.0.7addr", "$hostnamex $ipaddr"},
		{"a dollar alone stays", "a$ $$ $1 ^x$", "a$ $$ $1 ^x$", "a$ $$ $1 ^x$"},
		{"an open brace stays", "pa${ss", "pa${ss", "pa${ss"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for mode, want := range map[string]string{expandAll: tt.all, expandBraces: tt.braces} {
				if got, err := v.expand(tt.in, mode); err != nil || got != want {
					t.Errorf("%s: %q, %v, want %q", mode, got, err, want)
				}
			}
		})
	}
	for in, want := range map[string]string{
		"$NOT_SET":    "NOT_SET, which is not set",
		"${NOT_SET}":  "NOT_SET, which is not set",
		"$sn":         "serial number",
		"${NAME:-x}":  "no variable's name",
		"${}":         "no variable's name",
		"ok $NAME $Q": "variable Q,",
		"$BYTES":      "BYTES, whose value is not UTF-8",
	} {
		if _, err := v.expand(in, expandAll); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q in it", in, err, want)
		}
	}
}

func TestIPIsAskedOnlyWhenUsed(t *testing.T) {
	v := &variables{
		env:      func(string) (string, bool) { return "", false },
		hostname: func() (string, error) { return "host", nil },
		ip:       func() (string, error) { return "", errors.New("no address") },
	}
	if got, err := v.expand("$hostname", expandAll); got != "host" || err != nil {
		t.Error(got, err)
	}
	if _, err := v.expand("$ip", expandAll); err == nil {
		t.Error("no error from $ip")
	}
}

func TestLocalIPPrefersHOSTIP(t *testing.T) {
	env := func(name string) (string, bool) { return "192.0.2.1", name == "HOSTIP" }
	if ip, err := localIP(env, nil); ip != "192.0.2.1" || err != nil {
		t.Error(ip, err)
	}
}

func TestLocalIPIsNeverLoopback(t *testing.T) {
	none := func(string) (string, bool) { return "", false }
	ip, err := localIP(none, []string{"http://127.0.0.1:1/w", "http://localhost:1/w", "http://[::1]:1/w", "://", "http://192.0.2.1/w"})
	if err != nil {
		return // a host with nothing but loopback
	}
	if addr, err := netip.ParseAddr(ip); err != nil || addr.IsLoopback() {
		t.Errorf("%q, %v", ip, err)
	}
}

func TestNearest(t *testing.T) {
	names := []string{"urls", "url_label_key", "bearer_token_string", "insecure_skip_verify", "timeout"}
	for key, want := range map[string]string{
		"url": "urls", "ulrs": "urls", "URLS": "urls", "url_label_kye": "url_label_key", "bearer_token": "bearer_token_string",
		"tls_insecure_skip_verify": "insecure_skip_verify", "timeouts": "timeout", "time": "timeout",
		"zebra": "", "": "", "x": "",
	} {
		if got := nearest(key, names); got != want {
			t.Errorf("nearest(%q) = %q, want %q", key, got, want)
		}
	}
}
