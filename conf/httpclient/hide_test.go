package httpclient

import "testing"

func TestWhatAServerRepeatsHoldsNoSecret(t *testing.T) {
	cfg := Config{
		Username: "user", Password: "hunter two", BearerToken: "bearer-1", OAuth2: OAuth2{ClientSecret: "client-1"},
		Headers: []string{"X-Key", "header-1", "X-Scope-OrgID", "tenant-1"},
	}
	hide := cfg.Hider("http://me:url-pass@h/w?token=query%2F1&a=b")
	for _, tt := range []struct{ name, text, want string }{
		{"nothing to hide", "out of order sample a=b", "out of order sample a=b"},
		{"the address", "requestURI: /w?token=query%2F1&a=b; unsupported", "requestURI: /w?token=<secret>&a=b; unsupported"},
		{"the address, decoded", "/w?token=query/1", "/w?token=<secret>"},
		{"user and password", "Authorization: Basic dXNlcjpodW50ZXIgdHdv", "Authorization: Basic <secret>"},
		{"user and password of the address", "Basic bWU6dXJsLXBhc3M=", "Basic <secret>"},
		{"passwords", "hunter two, hunter+two, hunter%20two, url-pass", "<secret>, <secret>, <secret>, <secret>"},
		{"tokens and headers", "bearer-1 client-1 header-1", "<secret> <secret> <secret>"},
		{"the tenant is no secret", "user=tenant-1: limit", "user=tenant-1: limit"},
		{"what a terminal would obey", "\x1b[2J\x00\u009b31m\n\tline\xff", "?[2J??31m\n\tline?"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := hide(tt.text); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
