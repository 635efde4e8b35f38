package doctor_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kinglet/writer/doctor"
	"kinglet/writer/remotewrite"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// steady takes from an output what is another each time.
func steady(text string) string {
	text = regexp.MustCompile(`127\.0\.0\.1:\d+`).ReplaceAllString(text, "127.0.0.1:17000")
	text = regexp.MustCompile(`port \d+`).ReplaceAllString(text, "port 17000")
	return regexp.MustCompile(`probe=(\\?")\w+`).ReplaceAllString(text, "probe=${1}2BQ3")
}

func TestOutput(t *testing.T) {
	for name, tt := range map[string]struct {
		store *store
		edit  func(*remotewrite.Config)
		write bool
	}{
		"nightingale":     {nightingale(), nil, true},
		"victoriametrics": {victoriaMetrics(), nil, true},
		"prometheus":      {prometheus(), nil, false},
		"wrong_path":      {prometheus(), func(c *remotewrite.Config) { c.URL = strings.TrimSuffix(c.URL, "/api/v1/write") + "/write" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := tt.store.serve(t)
			o := quick()
			o.Write = tt.write
			if tt.write {
				o.QueryURL = strings.TrimSuffix(cfg.URL, tt.store.path) + tt.store.query
			}
			if tt.edit != nil {
				tt.edit(&cfg)
			}
			reports := []doctor.Report{doctor.Writer(t.Context(), "1", cfg, o)}
			var text, object bytes.Buffer
			if err := errors.Join(doctor.Text(&text, reports), doctor.JSON(&object, reports)); err != nil {
				t.Fatal(err)
			}
			golden(t, name+".golden", steady(text.String()))
			var again []doctor.Report
			if err := json.Unmarshal(object.Bytes(), &again); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(reports, again); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func TestEachFaultIsNamedWithItsRemedy(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	for _, tt := range []struct {
		claim string
		store *store
		edit  func(*remotewrite.Config, *doctor.Options)
		check string
		grade doctor.Grade
		says  string
		last  bool // nothing is checked after it
	}{
		{"a port that nobody listens on", prometheus(), func(c *remotewrite.Config, _ *doctor.Options) { c.URL = gone.URL }, "tcp", doctor.Fail, "connection refused", true},
		{"a name that cannot be resolved", prometheus(), func(c *remotewrite.Config, o *doctor.Options) {
			c.URL = "http://nosuch.invalid/api/v1/write"
			o.Resolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no resolver") }}
		}, "dns", doctor.Fail, "nosuch.invalid has no address", true},
		{"a url that cannot work", prometheus(), func(c *remotewrite.Config, _ *doctor.Options) { c.URL = "ftp://h/" }, "config", doctor.Fail, "want http:// or https://", true},
		{"a proxy that is down", prometheus(), func(c *remotewrite.Config, _ *doctor.Options) { c.ProxyURL = gone.URL }, "tcp", doctor.Fail, "connection refused", true},
		{"a proxy of the environment that is down", prometheus(), func(_ *remotewrite.Config, o *doctor.Options) {
			o.Proxy = func(*http.Request) (*url.URL, error) { return url.Parse(gone.URL) }
		}, "proxy", doctor.OK, "goes by way of http://127.0.0.1", false},
		{"credentials wanted, none configured", &store{path: "/w", user: "u"}, nil, "auth", doctor.Fail, "no credentials are configured: set basic_auth_user", true},
		{"wrong password", &store{path: "/w", user: "u"}, user("wrong"), "auth", doctor.Fail, "the credentials of basic_auth_user are wrong", true},
		{"right password", &store{path: "/w", user: "u"}, user("secret"), "auth", doctor.OK, "lets us in by basic_auth_user", false},
		{"a password file that is not there", &store{path: "/w", user: "u"}, func(c *remotewrite.Config, _ *doctor.Options) { c.User, c.PassFile = "u", "/nonexistent" }, "auth", doctor.Fail, "/nonexistent", true},
		{"forbidden", &store{path: "/w", answer: 403, text: "no tenant"}, nil, "auth", doctor.Fail, "answered 403 (no tenant)", true},
		{"a path without remote write", &store{path: "/w", answer: 404}, nil, "write_1.0", doctor.Fail, "nothing takes remote write at this path", true},
		{"a redirect", &store{path: "/w", answer: 301}, nil, "write_1.0", doctor.Fail, `a redirect to "elsewhere.example"`, true},
		{"overload", &store{path: "/w", answer: 499, text: "queue is full"}, nil, "write_1.0", doctor.Warn, "answered 499 (queue is full): it is overloaded", false},
		{"a server in trouble", &store{path: "/w", answer: 503}, nil, "write_1.0", doctor.Fail, "answered 503: it is in trouble itself", true},
		{"one that refuses empty requests", &store{path: "/w", answer: 400, text: "no\nsamples"}, nil, "write_1.0", doctor.Warn, "answered 400 (no samples) to a request without samples", false},
		{"any other refusal", &store{path: "/w", answer: 418}, nil, "write_1.0", doctor.Fail, "samples would be dropped", true},
		{"a clock that is behind", &store{path: "/w", date: date(time.Hour)}, nil, "clock", doctor.Fail, "behind the endpoint's: mend the one that is wrong", false},
		{"a clock that is ahead", &store{path: "/w", date: date(-time.Minute)}, nil, "clock", doctor.Warn, "ahead of the endpoint's", false},
		{"no clock to compare", &store{path: "/w", header: http.Header{"Date": nil}}, nil, "clock", doctor.Skip, "no Date", false},
		{"2.0 configured for what swallows it", victoriaMetrics(), func(c *remotewrite.Config, _ *doctor.Options) { c.ProtobufMessage = "2.0" }, "write_2.0", doctor.Warn, `set protobuf_message = "1.0"`, false},
		{"2.0 configured for what takes it", prometheus(), func(c *remotewrite.Config, _ *doctor.Options) { c.ProtobufMessage = "2.0" }, "write_2.0", doctor.OK, "as configured", false},
		{"2.0 configured for what refuses it", &store{path: "/w", message2: 415}, func(c *remotewrite.Config, _ *doctor.Options) { c.ProtobufMessage = "2.0" }, "write_2.0", doctor.Warn, "answers 415 to remote write 2.0", false},
		{"zstd configured for what does not know it", prometheus(), func(c *remotewrite.Config, _ *doctor.Options) { c.Compression = "zstd" }, "zstd", doctor.Warn, `set compression = "snappy"`, false},
		{"another receiver than configured", victoriaMetrics(), func(c *remotewrite.Config, _ *doctor.Options) { c.Profile = remotewrite.ProfilePrometheus }, "profile", doctor.Warn, `set profile = "victoriametrics", or auto`, false},
		{"a receiver that nothing tells of", &store{path: "/w"}, nil, "profile", doctor.Warn, "cannot tell what receives", false},
		{"writing refused", &store{path: "/w", answer: 400, text: "out of order sample"}, writing, "write", doctor.Fail, "answered 400 (out of order sample) to two samples", true},
		{"nowhere to ask", prometheus(), writing, "read_back", doctor.Skip, "want query_url", true},
		{"a query API that is not there", prometheus(), func(c *remotewrite.Config, o *doctor.Options) {
			writing(c, o)
			c.QueryURL, o.ReadBack = strings.TrimSuffix(c.URL, "/api/v1/write")+"/nowhere", time.Second
		}, "read_back", doctor.Fail, "answered 404", true},
		{"acknowledged and never seen again", &store{path: "/w", hides: func(string) bool { return true }}, readingBack(time.Second), "read_back", doctor.Fail, "not found within 1s", true},
		{"old samples that vanish", &store{path: "/w", hides: func(age string) bool { return age == "old" }}, readingBack(time.Second), "old_samples", doctor.Fail, "what waits through an outage would be lost", true},
		{"old samples that are stamped anew", &store{path: "/w", stamps: true}, readingBack(5 * time.Second), "old_samples", doctor.Warn, "set ForceUseServerTS = false", true},
		{"old samples that are kept", &store{path: "/w"}, readingBack(5 * time.Second), "old_samples", doctor.OK, "has kept its time", true},
	} {
		t.Run(tt.claim, func(t *testing.T) {
			cfg, o := tt.store.serve(t), quick()
			if tt.edit != nil {
				tt.edit(&cfg, &o)
			}
			r := doctor.Writer(t.Context(), "1", cfg, o)
			got := find(t, r, tt.check)
			if got.Grade != tt.grade || !strings.Contains(got.Detail, tt.says) {
				t.Errorf("%s is %s: %s\nwant %s: ...%s...", got.Name, got.Grade, got.Detail, tt.grade, tt.says)
			}
			if last := r.Checks[len(r.Checks)-1]; tt.last && last.Name != tt.check {
				t.Errorf("went on to %v", last)
			}
			if r.Fine() == (tt.grade == doctor.Fail) && tt.last {
				t.Errorf("fine is %v", r.Fine())
			}
		})
	}
}

func user(password string) func(*remotewrite.Config, *doctor.Options) {
	return func(c *remotewrite.Config, _ *doctor.Options) { c.User, c.Pass = "u", password }
}

func writing(_ *remotewrite.Config, o *doctor.Options) { o.Write = true }

func readingBack(within time.Duration) func(*remotewrite.Config, *doctor.Options) {
	return func(c *remotewrite.Config, o *doctor.Options) {
		o.Write, o.ReadBack, c.QueryURL = true, within, strings.TrimSuffix(c.URL, "/w")
	}
}

func date(off time.Duration) string { return time.Now().Add(off).UTC().Format(http.TimeFormat) }

func TestWritesNothingUnlessAllowed(t *testing.T) {
	s := prometheus()
	cfg, o := s.serve(t), quick()
	o.QueryURL = strings.TrimSuffix(cfg.URL, s.path)
	doctor.Writer(t.Context(), "1", cfg, o)
	if len(s.samples) != 0 || len(s.requests) != 4 {
		t.Fatalf("wrote %v by %q", s.samples, s.requests)
	}
	o.Write, o.Hostname = true, "node-1"
	cfg.ExternalLabels = map[string]string{"cluster": "c1", "age": "x", "none": ""}
	doctor.Writer(t.Context(), "1", cfg, o)
	var names []string
	for _, l := range s.samples["new"].labels {
		names = append(names, l.Name)
	}
	if want := []string{"__name__", "age", "agent_hostname", "cluster", "probe"}; len(s.samples) != 2 || !slices.Equal(names, want) {
		t.Errorf("wrote %v, want one old and one new sample with labels %q", s.samples, want)
	}
	if name := label(s.samples["old"].labels, "__name__"); name != doctor.ProbeName {
		t.Errorf("wrote %s", name)
	}
	for _, agent := range s.agents {
		if agent != "kinglet/test" {
			t.Errorf("called itself %q", agent)
		}
	}
}

func TestCredentialsStayWithTheirHost(t *testing.T) {
	var seen []string
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Header.Get("Authorization")+r.Header.Get("X-Key"))
		http.NotFound(w, r)
	}))
	defer other.Close()
	s := prometheus()
	cfg, o := s.serve(t), quick()
	cfg.User, cfg.Pass, cfg.Headers = "u", "secret", []string{"X-Key", "secret"}
	o.Write, o.ReadBack = true, 100*time.Millisecond
	cfg.QueryURL = strings.Replace(other.URL, "127.0.0.1", "localhost", 1)
	doctor.Writer(t.Context(), "1", cfg, o)
	if len(seen) == 0 || strings.Join(seen, "") != "" {
		t.Errorf("another host was sent %q", seen)
	}
}

func TestSecretsAreNeverShown(t *testing.T) {
	echo := "POST /w?token=secret Basic dXNlcjpzZWNyZXQ= X-Key: secret \x1b[2J"
	for _, s := range []*store{prometheus(), {path: "/w", answer: 301}, {path: "/w", user: "u"}, {path: "/w", answer: 403, text: echo}} {
		cfg, o := s.serve(t), quick()
		o.Write, o.ReadBack = true, 100*time.Millisecond
		cfg.URL = strings.Replace(cfg.URL, "//", "//user:secret@", 1) + "?token=secret"
		cfg.QueryURL = strings.Replace(cfg.URL, "/w", "/nowhere", 1)
		cfg.Headers = []string{"X-Key", "secret"}
		var out bytes.Buffer
		if err := doctor.JSON(&out, []doctor.Report{doctor.Writer(t.Context(), "1", cfg, o)}); err != nil {
			t.Fatal(err)
		}
		if text := strings.ReplaceAll(out.String(), "<secret>", ""); strings.Contains(text, "secret") ||
			strings.Contains(text, "dXNlcjpz") || strings.Contains(text, `\u001b`) {
			t.Error(out.String())
		}
	}
}

func TestASlowEndpointIsGivenUp(t *testing.T) {
	hang := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hang }))
	defer server.Close()
	defer close(hang)
	cfg, o := remotewrite.DefaultConfig(), quick()
	cfg.URL, o.Timeout = server.URL+"/api/v1/write", 50*time.Millisecond
	r := doctor.Writer(t.Context(), "1", cfg, o)
	if got := find(t, r, "http"); got.Grade != doctor.Fail || !strings.Contains(got.Detail, "no answer within 50ms") {
		t.Errorf("got %v", got)
	}
}
