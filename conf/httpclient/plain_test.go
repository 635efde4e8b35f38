package httpclient

import (
	"net/url"
	"testing"
)

func TestPlainIsWhatGoesStraightToItsHost(t *testing.T) {
	for name, tt := range map[string]struct {
		cfg   Config
		url   string
		plain bool
	}{
		"nothing":          {Config{}, "http://host/x", true},
		"credentials":      {Config{BearerTokenFile: "/t", Headers: []string{"A", "b"}}, "http://host/x", true},
		"this host":        {Config{ProxyURL: ProxyFromEnvironment}, "http://127.0.0.1:9090/x", true},
		"TLS":              {Config{}, "https://host/x", false},
		"a file to watch":  {Config{TLS: TLS{CA: "/ca.pem"}}, "http://host/x", false},
		"proxy":            {Config{ProxyURL: "http://p:1"}, "http://host/x", false},
		"follow redirects": {Config{FollowRedirects: true}, "http://host/x", false},
	} {
		c, err := New(tt.cfg)
		if err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(tt.url)
		if err != nil {
			t.Fatal(err)
		}
		if c.Plain(u) != tt.plain {
			t.Errorf("%s: Plain is %v", name, !tt.plain)
		}
	}
}
