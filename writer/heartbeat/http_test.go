package heartbeat

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// beatOnce sends one heartbeat over HTTP.
func beatOnce(t *testing.T, b *Beater, cfg Config, host Host) (local string, err error) {
	t.Helper()
	if err := b.Update(cfg, host); err != nil {
		t.Fatal(err)
	}
	p := b.current()
	defer p.http.Forget()
	return b.post(t.Context(), p, newMessage(host, b.load(), time.Now()))
}

func TestBadServers(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer http.HandlerFunc
		want   string
	}{
		{"an empty 200", func(http.ResponseWriter, *http.Request) {}, ""},
		{"slow", func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // so that the server sees the client go
			<-r.Context().Done()
		}, "no answer within 200ms (timeout)"},
		{"endless", func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			for r.Context().Err() == nil {
				if _, err := io.WriteString(w, strings.Repeat("x", 64<<10)); err != nil {
					return
				}
			}
		}, ""},
		{"an error page", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadGateway)
			_, _ = io.WriteString(w, strings.Repeat("no ", 10_000))
		}, "the server answered 502: " + strings.TrimSpace(strings.Repeat("no ", 10_000)[:1024])},
		{"a redirect is not followed", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/" {
				t.Errorf("%s was asked for", r.URL)
			}
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}, "the server answered 307 Temporary Redirect"},
		{"gone", func(w http.ResponseWriter, _ *http.Request) {
			if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
				conn.Close()
			}
		}, "post: EOF"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(tt.answer)
			defer server.Close()
			b, _ := newBeater(t, nil)
			cfg := enabled(server.URL + "/")
			cfg.TimeoutMs = 200
			got := ""
			if _, err := beatOnce(t, b, cfg, node1); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func TestSecretsAreReadAgain(t *testing.T) {
	var got []string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		got = append(got, user+" "+password+" "+r.Header.Get("X-Team")+" "+r.Host)
	}))
	defer server.Close()
	file := filepath.Join(t.TempDir(), "password")
	b, _ := newBeater(t, nil)
	cfg := enabled(server.URL)
	cfg.User, cfg.PassFile, cfg.Headers = "agent", file, []string{"X-Team", "a", "Host", "n9e.example"}
	if err := b.Update(cfg, node1); err != nil {
		t.Fatal(err)
	}
	p := b.current()
	defer p.http.Forget()
	if _, err := b.post(t.Context(), p, message{}); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("without the file: %v", err)
	}
	for _, password := range []string{"one", "two"} {
		if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := b.post(t.Context(), p, message{}); err != nil {
			t.Error(err)
		}
	}
	if want := "agent one a n9e.example,agent two a n9e.example"; strings.Join(got, ",") != want {
		t.Errorf("%q", got)
	}
}

func TestAUserWithoutPasswordIsNotSent(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("credentials were sent")
		}
	}))
	defer server.Close()
	b, _ := newBeater(t, nil)
	cfg := enabled(server.URL)
	cfg.User = "agent"
	if _, err := beatOnce(t, b, cfg, node1); err != nil {
		t.Error(err)
	}
}

func TestTheConnectionTellsThisHostsAddress(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	b, _ := newBeater(t, nil)
	host := node1
	host.IP = ""
	local, err := beatOnce(t, b, enabled(server.URL), host)
	if err != nil {
		t.Fatal(err)
	}
	// On loopback it is the address of another interface, if there is one.
	if ip, err := netip.ParseAddr(local); local != "" && (err != nil || ip.IsLoopback()) {
		t.Errorf("%q is not this host's address", local)
	}
	for from, want := range map[string]string{"192.0.2.7:1234": "192.0.2.7", "[2001:db8::1]:80": "2001:db8::1", "[::ffff:192.0.2.7]:80": "192.0.2.7"} {
		if got := ipOf(textAddr(from)); got != want {
			t.Errorf("%s is %s, want %s", from, got, want)
		}
	}
}

type textAddr string

func (textAddr) Network() string  { return "tcp" }
func (a textAddr) String() string { return string(a) }

func TestAStopCutsAHeartbeatShort(t *testing.T) {
	arrived := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // so that the server sees the client go
		close(arrived)
		<-r.Context().Done()
	}))
	defer server.Close()
	b, out := newBeater(t, nil)
	if err := b.Update(enabled(server.URL), node1); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		p := b.current()
		b.beat(ctx, p)
		p.http.Forget()
	}()
	<-arrived
	cancel()
	<-done
	if strings.Contains(out.String(), "failed") {
		t.Errorf("a stop is no failure:\n%s", out)
	}
}

func TestAnAnswerThatRepeatsTheRequestShowsNoSecret(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "no such page: "+r.URL.RequestURI(), http.StatusNotFound)
	}))
	defer server.Close()
	b, _ := newBeater(t, nil)
	_, err := beatOnce(t, b, enabled(server.URL+"/?token=hidden"), node1)
	if want := "the server answered 404: no such page: /?token=<secret>"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
