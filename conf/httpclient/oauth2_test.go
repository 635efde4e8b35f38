package httpclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// issuer is a token endpoint that numbers its tokens and keeps what it was asked.
type issuer struct {
	*httptest.Server
	asked   atomic.Int32
	expires int
	last    string // credentials and form of the last request
}

func newIssuer(t *testing.T, expires int) *issuer {
	i := &issuer{expires: expires}
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		id, secret, _ := r.BasicAuth()
		i.last = id + ":" + secret + " " + string(body)
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"access_token": "t%d", "token_type": "bearer", "expires_in": %d}`, i.asked.Add(1), i.expires)
	}))
	t.Cleanup(i.Close)
	return i
}

func grantOf(tokenURL string) OAuth2 {
	return OAuth2{ClientID: "me", ClientSecret: "hidden", TokenURL: tokenURL}
}

func TestOAuth2Validate(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(*OAuth2)
		want string
	}{
		{"off", func(o *OAuth2) { *o = OAuth2{} }, ""},
		{"a whole one", func(*OAuth2) {}, ""},
		{"no client", func(o *OAuth2) { o.ClientID = "" }, "oauth2_client_id is missing: want it beside the other oauth2 keys"},
		{"no secret", func(o *OAuth2) { o.ClientSecret = "" }, "oauth2_client_secret and oauth2_client_secret_file: want one of them"},
		{"two secrets", func(o *OAuth2) { o.ClientSecretFile = "f" }, "oauth2_client_secret and oauth2_client_secret_file: want one of them"},
		{"a token URL that is none, unseen", func(o *OAuth2) { o.TokenURL = "ftp://u:secret@h/" }, "oauth2_token_url: want http://HOST:PORT/PATH or https://HOST:PORT/PATH"},
		{"scope twice", func(o *OAuth2) { o.Scopes, o.EndpointParams = []string{"a"}, map[string]string{"scope": "b"} },
			"oauth2_endpoint_params has scope: want oauth2_scopes alone"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := Config{OAuth2: grantOf("https://issuer/token")}
			tt.edit(&cfg.OAuth2)
			got := ""
			if err := cfg.Validate(); err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestATokenIsKeptUntilItIsForgotten(t *testing.T) {
	server, tokens := httptest.NewServer(http.HandlerFunc(echo)), newIssuer(t, 3600)
	defer server.Close()
	secret := writeFile(t, "secret", "first\n")
	client := newClient(t, Config{OAuth2: OAuth2{
		ClientID: "me", ClientSecretFile: secret, TokenURL: tokens.URL + "/token", Scopes: []string{"write", "all"},
		EndpointParams: map[string]string{"audience": "metrics"},
	}})
	for range 2 {
		if got := get(t, client, server.URL); !strings.HasPrefix(got, "Bearer t1|") {
			t.Errorf("got %q", got)
		}
	}
	if want := "me:first audience=metrics&grant_type=client_credentials&scope=write+all"; tokens.last != want {
		t.Errorf("asked with %q, want %q", tokens.last, want)
	}
	if err := os.WriteFile(secret, []byte("second"), 0o600); err != nil {
		t.Fatal(err)
	}
	client.Forget()
	if got := get(t, client, server.URL); !strings.HasPrefix(got, "Bearer t2|") {
		t.Errorf("got %q", got)
	}
	if !strings.HasPrefix(tokens.last, "me:second ") {
		t.Errorf("asked with %q, want the secret as it is now", tokens.last)
	}
}

func TestATokenThatExpiresIsReplaced(t *testing.T) {
	server, tokens := httptest.NewServer(http.HandlerFunc(echo)), newIssuer(t, 1)
	defer server.Close()
	client := newClient(t, Config{OAuth2: grantOf(tokens.URL)})
	get(t, client, server.URL)
	if got := get(t, client, server.URL); !strings.HasPrefix(got, "Bearer t2|") {
		t.Errorf("got %q", got)
	}
}

func TestWithoutATokenNothingIsSent(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a request was sent") }))
	defer server.Close()
	for _, tt := range []struct {
		name   string
		answer http.HandlerFunc
		want   string
	}{
		{"refused", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusUnauthorized)
			io.WriteString(w, `{"error": "invalid_client", "error_description": "`+strings.Repeat("no ", 1000)+`"}`)
		}, `fetch a token from oauth2_token_url: it answered 401 Unauthorized "invalid_client no no`},
		{"a page instead", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>") }, "oauth2: "},
		{"a redirect, which would take the secret elsewhere", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, server.URL, http.StatusTemporaryRedirect)
		}, "it answered 307 Temporary Redirect"},
		{"an endless answer", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			for r.Context().Err() == nil {
				if _, err := io.WriteString(w, strings.Repeat(" ", 64<<10)); err != nil {
					return
				}
			}
		}, "unexpected end of JSON"},
		{"none", func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // only then the server sees the client go
			<-r.Context().Done()
		}, "context deadline exceeded"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tokens := httptest.NewServer(tt.answer)
			defer tokens.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			client := newClient(t, Config{OAuth2: grantOf(tokens.URL + "/?token=hidden")})
			resp, err := client.Do(request(t, server.URL).WithContext(ctx))
			if err == nil {
				resp.Body.Close()
				t.Fatal("no error")
			}
			if text := err.Error(); !strings.Contains(text, tt.want) || strings.Contains(text, "hidden") || len(text) > 400 {
				t.Errorf("got %q, want it to say %q", text, tt.want)
			}
		})
	}
}

func TestWaitingForATokenHeedsTheContext(t *testing.T) {
	client := newClient(t, Config{OAuth2: grantOf("http://127.0.0.1:1/")})
	client.tokens.turn <- struct{}{} // another request fetches one
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := client.tokens.authorization(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestAProxyIsUsedForLoopbackToo(t *testing.T) {
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "proxy for "+r.RequestURI) }))
	defer proxy.Close()
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	client := newClient(t, Config{ProxyURL: proxy.URL})
	if got, want := get(t, client, "http://127.0.0.1:9/write"), "proxy for http://127.0.0.1:9/write"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
