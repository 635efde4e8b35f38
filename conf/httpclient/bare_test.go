package httpclient

import "testing"

func TestBareClientAddsNothing(t *testing.T) {
	for name, tt := range map[string]struct {
		cfg  Config
		bare bool
	}{
		"nothing":     {Config{}, true},
		"TLS only":    {Config{TLS: TLS{InsecureSkipVerify: true}}, true},
		"basic":       {Config{Username: "u", Password: "p"}, false},
		"token":       {Config{BearerToken: "t"}, false},
		"token file":  {Config{BearerTokenFile: "/t"}, false},
		"headers":     {Config{Headers: []string{"A", "b"}}, false},
		"proxy":       {Config{ProxyURL: "http://p:1"}, false},
		"environment": {Config{ProxyURL: ProxyFromEnvironment}, false},
	} {
		c, err := New(tt.cfg)
		if err != nil {
			t.Fatal(err)
		}
		if c.Bare() != tt.bare {
			t.Errorf("%s: Bare is %v", name, !tt.bare)
		}
		c.Close()
	}
}
