package doctor_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"kinglet/writer/doctor"
	"kinglet/writer/heartbeat"
)

func TestHeartbeatIsLookedAtWithoutAHost(t *testing.T) {
	for _, tt := range []struct {
		claim  string
		status int
		text   string
		edit   func(*heartbeat.Config)
		check  string
		grade  doctor.Grade
		says   string
	}{
		{"Nightingale's center", 200, `{"dat":"","err":"hostname is required","request_id":"1"}`, nil, "heartbeat", doctor.OK, "takes heartbeats"},
		{"its edge", 400, `hostname is blank`, nil, "heartbeat", doctor.OK, "takes heartbeats"},
		{"something else that answers", 200, "hello", nil, "heartbeat", doctor.Warn, "is url that of /v1/n9e/heartbeat?"},
		{"a wrong path", 404, "", nil, "heartbeat", doctor.Fail, "Nightingale has it at /v1/n9e/heartbeat"},
		{"trouble", 500, "no database", nil, "heartbeat", doctor.Fail, "answered 500 (no database)"},
		{"credentials wanted", 401, "", nil, "auth", doctor.Fail, "no credentials are configured"},
		{"a user without a password is not sent", 401, "", func(c *heartbeat.Config) { c.User = "u" }, "auth", doctor.Fail, "no credentials are configured"},
		{"wrong credentials", 401, "", func(c *heartbeat.Config) { c.User, c.Pass = "u", "p" }, "auth", doctor.Fail, "are wrong"},
		{"no address", 200, "", func(c *heartbeat.Config) { c.URL = "" }, "config", doctor.Fail, "want the address"},
	} {
		t.Run(tt.claim, func(t *testing.T) {
			var sent []string
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				sent = append(sent, r.Method+" "+r.URL.Path+" "+string(body))
				http.Error(w, tt.text, tt.status)
			}))
			defer server.Close()
			cfg := heartbeat.DefaultConfig()
			cfg.URL = server.URL + "/v1/n9e/heartbeat"
			if tt.edit != nil {
				tt.edit(&cfg)
			}
			got := find(t, doctor.Heartbeat(t.Context(), cfg, quick()), tt.check)
			if got.Grade != tt.grade || !strings.Contains(got.Detail, tt.says) {
				t.Errorf("got %s: %s\nwant %s: ...%s...", got.Grade, got.Detail, tt.grade, tt.says)
			}
			if want := "POST /v1/n9e/heartbeat {}"; cfg.URL != "" && (len(sent) != 1 || sent[0] != want) {
				t.Errorf("sent %q, want %q alone", sent, want)
			}
		})
	}
}
