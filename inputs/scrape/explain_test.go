package scrape

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kinglet/conf/httpclient"
)

// rotating is a server that takes the newest token only. When it first sees the
// old one, the file with the token is replaced, as if that had happened between
// the reading of the file and the request.
type rotating struct {
	file   string
	asked  []string // tokens, in order
	rotate bool
}

func (r *rotating) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	token := strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer ")
	r.asked = append(r.asked, token)
	if token == "new" {
		io.WriteString(w, "m 1\n")
		return
	}
	if r.rotate {
		_ = os.WriteFile(r.file, []byte("new\n"), 0o600) // if it fails the second request is refused too
	}
	http.Error(w, "Unauthorized", http.StatusUnauthorized)
}

func TestATokenThatIsReplacedCostsNoScrape(t *testing.T) {
	for _, tt := range []struct {
		name   string
		rotate bool
		extra  []string // headers
		asked  string
		up     bool
	}{
		{"replaced meanwhile", true, nil, "[old new]", true},
		{"the same as before is not tried again", false, nil, "[old]", false},
		{"a header that covers the token is not tried again", true, []string{"authorization", "Bearer mine"}, "[mine]", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			handler := &rotating{file: filepath.Join(t.TempDir(), "token"), rotate: tt.rotate}
			if err := os.WriteFile(handler.file, []byte("old\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			server := httptest.NewServer(handler)
			defer server.Close()
			_, message := scrapeOnce(t, httpTarget(t, server.URL, httpclient.Config{BearerTokenFile: handler.file, Headers: tt.extra}))
			if (message == "") != tt.up {
				t.Errorf("got %q", message)
			}
			if got := fmt.Sprint(handler.asked); got != tt.asked {
				t.Errorf("asked with %v, want %v", got, tt.asked)
			}
		})
	}
}

func TestAnInputExplainsTheErrorsOfItsTargets(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "no", http.StatusForbidden)
	}))
	defer server.Close()
	target := httpTarget(t, server.URL, httpclient.Config{})
	target.Explain = func(err error) error {
		if refused, ok := errors.AsType[*StatusError](err); ok && refused.Code == http.StatusForbidden {
			return fmt.Errorf("%w: ask for a key", err)
		}
		return err
	}
	_, message := scrapeOnce(t, target)
	if want := "status 403 Forbidden: no: ask for a key"; message != want {
		t.Errorf("got %q, want %q", message, want)
	}
}
