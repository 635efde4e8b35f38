// Package httpclient turns the TLS, authentication and proxy keys that a user
// writes into an *http.Client. Secrets that lie in files are read again when
// the file changes.
package httpclient

// TLS is how a client checks its server and shows who it is. The keys and
// their meaning are Categraf's. A path may also be the PEM text itself.
type TLS struct {
	UseTLS             bool     `toml:"use_tls"` // Categraf ignores the keys below without it; kinglet takes https:// as yes
	CA                 string   `toml:"tls_ca" expand:"braces"`
	Cert               string   `toml:"tls_cert" expand:"braces"`
	Key                string   `toml:"tls_key" expand:"braces"`
	KeyPassword        string   `toml:"tls_key_pwd" expand:"braces"` // accepted; encrypted keys are refused with a message
	InsecureSkipVerify bool     `toml:"insecure_skip_verify"`
	ServerName         string   `toml:"tls_server_name" expand:"braces"`
	MinVersion         string   `toml:"tls_min_version"` // "1.0" to "1.3"
	MaxVersion         string   `toml:"tls_max_version"`
	CipherSuites       []string `toml:"tls_cipher_suites"`
}
