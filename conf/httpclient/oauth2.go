package httpclient

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// OAuth2 holds the keys of the client credentials grant: the client shows its
// secret to a token endpoint, and the token it is given to the server. It is
// off while ClientID and TokenURL are empty.
type OAuth2 struct {
	ClientID         string            `toml:"oauth2_client_id" expand:"braces"`
	ClientSecret     string            `toml:"oauth2_client_secret" expand:"braces"`
	ClientSecretFile string            `toml:"oauth2_client_secret_file" expand:"braces"` // in place of it; read whenever a token is fetched
	TokenURL         string            `toml:"oauth2_token_url" expand:"braces"`
	Scopes           []string          `toml:"oauth2_scopes"`
	EndpointParams   map[string]string `toml:"oauth2_endpoint_params" expand:"braces"` // more parameters for the token endpoint, such as audience
}

// On reports whether any key asks for OAuth 2.0.
func (o OAuth2) On() bool {
	return o.ClientID != "" || o.TokenURL != "" || o.ClientSecret != "" || o.ClientSecretFile != ""
}

// Validate reports every fault at once, each under its TOML key. It shows no
// value.
func (o OAuth2) Validate() error {
	if !o.On() {
		return nil
	}
	var faults []error
	if o.ClientID == "" {
		faults = append(faults, errors.New("oauth2_client_id is missing: want it beside the other oauth2 keys"))
	}
	if (o.ClientSecret == "") == (o.ClientSecretFile == "") {
		faults = append(faults, errors.New("oauth2_client_secret and oauth2_client_secret_file: want one of them"))
	}
	if u, err := url.Parse(o.TokenURL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		faults = append(faults, errors.New("oauth2_token_url: want http://HOST:PORT/PATH or https://HOST:PORT/PATH"))
	}
	if _, twice := o.EndpointParams["scope"]; twice && len(o.Scopes) > 0 {
		faults = append(faults, errors.New("oauth2_endpoint_params has scope: want oauth2_scopes alone"))
	}
	return errors.Join(faults...)
}

// tokenTimeout bounds the fetching of a token; the request that needs it may
// end it earlier. The library reads 1 MiB of the answer at most.
const tokenTimeout = 10 * time.Second

// tokens fetches and keeps the token of a client.
type tokens struct {
	cfg   OAuth2
	http  *Client
	turn  chan struct{}             // holds one while a token is fetched
	grant *clientcredentials.Config // belongs to whoever has the turn
	token atomic.Pointer[oauth2.Token]
}

// newTokens makes what fetches the tokens of a client of cfg. Requests to the
// token endpoint share its TLS keys, but for tls_server_name, and its proxy;
// they have none of its headers and follow no redirect.
func newTokens(cfg Config) *tokens {
	own := cfg.TLS
	own.ServerName = ""
	own.UseTLS = strings.HasPrefix(strings.ToLower(cfg.OAuth2.TokenURL), "https:")
	params := url.Values{}
	for name, value := range cfg.OAuth2.EndpointParams {
		params.Set(name, value)
	}
	return &tokens{
		cfg:  cfg.OAuth2,
		http: &Client{cfg: Config{TLS: own, DialTimeout: cfg.DialTimeout}, files: own.files()},
		turn: make(chan struct{}, 1),
		grant: &clientcredentials.Config{
			ClientID: cfg.OAuth2.ClientID, TokenURL: cfg.OAuth2.TokenURL, Scopes: cfg.OAuth2.Scopes, EndpointParams: params,
		},
	}
}

// authorization is the value of the header. It blocks while a token is
// fetched, for tokenTimeout at most.
func (t *tokens) authorization(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, tokenTimeout)
	defer cancel()
	select {
	case t.turn <- struct{}{}:
	case <-ctx.Done():
		return "", fmt.Errorf("wait for a token: %w", ctx.Err())
	}
	defer func() { <-t.turn }()
	token := t.token.Load()
	if !token.Valid() {
		var err error
		if token, err = t.fetch(ctx); err != nil {
			return "", err
		}
		t.token.Store(token)
	}
	return token.Type() + " " + token.AccessToken, nil
}

func (t *tokens) fetch(ctx context.Context) (*oauth2.Token, error) {
	t.grant.ClientSecret = t.cfg.ClientSecret
	if t.cfg.ClientSecretFile != "" {
		var err error
		if t.grant.ClientSecret, err = readSecret("oauth2_client_secret_file", t.cfg.ClientSecretFile); err != nil {
			return nil, err
		}
	}
	client, err := t.http.current()
	if err != nil {
		return nil, err
	}
	token, err := t.grant.Token(context.WithValue(ctx, oauth2.HTTPClient, client))
	if err != nil {
		return nil, fmt.Errorf("fetch a token from oauth2_token_url: %w", withoutBody(ctx, err))
	}
	return token, nil
}

// withoutBody is an error of the library without URLs and bodies, which may
// hold secrets.
func withoutBody(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return context.DeadlineExceeded
	}
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return wrapped.Err
	}
	refused, ok := errors.AsType[*oauth2.RetrieveError](err)
	if !ok {
		return err
	}
	text := strings.ToValidUTF8(strings.TrimSpace(refused.ErrorCode+" "+refused.ErrorDescription), "?")
	return fmt.Errorf("it answered %d %s %.200q", refused.Response.StatusCode, http.StatusText(refused.Response.StatusCode), text)
}

// forget fetches a new token for the next request.
func (t *tokens) forget() {
	t.token.Store(nil)
	t.http.Forget()
}
