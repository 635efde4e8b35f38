package scrape

import "testing"

func TestTargetsAreShownWithoutSecrets(t *testing.T) {
	for _, tt := range []struct{ name, url, want string }{
		{"nothing to hide", "http://h:1/probe?module=http_2xx&target=a.example", "http://h:1/probe?module=http_2xx&target=a.example"},
		{"password", "http://me:word@h/metrics", "http://h/metrics"},
		{"token", "http://h/metrics?token=abc&x=1", "http://h/metrics?token=<secret>&x=1"},
		{"other spellings", "http://h/m?API_Key=abc&x-amz-signature=def&keyless", "http://h/m?API_Key=<secret>&x-amz-signature=<secret>&keyless"},
		{"bad URL", "http://h/%zz", "(bad URL)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := shownURL(tt.url); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestWhatATargetAnswersHoldsNoSecret(t *testing.T) {
	target := Target{URL: "http://h/wrte?token=QQSECRET"}
	if got := target.hide("unsupported path requested: /wrte?token=QQSECRET"); got != "unsupported path requested: /wrte?token=<secret>" {
		t.Errorf("got %q", got)
	}
}
