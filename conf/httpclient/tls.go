package httpclient

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

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

// secretLimit bounds what is read of a file with a secret or certificates; the
// largest CA bundles in use are about 250 KiB.
const secretLimit = 4 << 20

// Validate reports every fault at once, each under its TOML key. PEM text is
// read; files are not, they may come later.
func (t TLS) Validate() error {
	var faults []error
	minVersion, minErr := version("tls_min_version", t.MinVersion)
	maxVersion, maxErr := version("tls_max_version", t.MaxVersion)
	faults = append(faults, minErr, maxErr)
	if minErr == nil && maxErr == nil && maxVersion != 0 && minVersion > maxVersion {
		faults = append(faults, fmt.Errorf("tls_min_version = %q: is above tls_max_version = %q", t.MinVersion, t.MaxVersion))
	}
	_, err := cipherSuites(t.CipherSuites)
	faults = append(faults, err)
	if (t.Cert == "") != (t.Key == "") {
		faults = append(faults, errors.New("tls_cert and tls_key: want both or none"))
	}
	if isPEM(t.CA) {
		_, err := pool([]byte(t.CA))
		faults = append(faults, err)
	}
	if isPEM(t.Cert) && isPEM(t.Key) {
		_, err := keyPair([]byte(t.Cert), []byte(t.Key))
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}

// load reads the files and makes the configuration for crypto/tls.
func (t TLS) load() (*tls.Config, error) {
	minVersion, err := version("tls_min_version", t.MinVersion)
	if err != nil {
		return nil, err
	}
	maxVersion, err := version("tls_max_version", t.MaxVersion)
	if err != nil {
		return nil, err
	}
	suites, err := cipherSuites(t.CipherSuites)
	if err != nil {
		return nil, err
	}
	cfg := &tls.Config{
		MinVersion:         minVersion,
		MaxVersion:         maxVersion,
		CipherSuites:       suites,
		ServerName:         t.ServerName,
		InsecureSkipVerify: t.InsecureSkipVerify, // the user's decision; the kubelet's certificate is often self-signed
	}
	if t.CA != "" {
		text, err := pemText("tls_ca", t.CA)
		if err != nil {
			return nil, err
		}
		if cfg.RootCAs, err = pool(text); err != nil {
			return nil, err
		}
	}
	if t.Cert != "" {
		cert, err := pemText("tls_cert", t.Cert)
		if err != nil {
			return nil, err
		}
		key, err := pemText("tls_key", t.Key)
		if err != nil {
			return nil, err
		}
		pair, err := keyPair(cert, key)
		if err != nil {
			return nil, err
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	return cfg, nil
}

// files lists the paths among the keys.
func (t TLS) files() []string {
	return slices.DeleteFunc([]string{t.CA, t.Cert, t.Key}, func(s string) bool { return s == "" || isPEM(s) })
}

func isPEM(s string) bool { return strings.Contains(s, "-----BEGIN") }

// pemText is the PEM text itself or what is in the file of that name.
func pemText(key, value string) ([]byte, error) {
	if isPEM(value) {
		return []byte(value), nil
	}
	return readBounded(key, value)
}

func pool(text []byte) (*x509.CertPool, error) {
	certs := x509.NewCertPool()
	if !certs.AppendCertsFromPEM(text) {
		return nil, errors.New("tls_ca holds no certificate in PEM form")
	}
	return certs, nil
}

// keyPair reads a certificate and its key. An encrypted key is refused: its
// password would have to lie next to it.
func keyPair(cert, key []byte) (tls.Certificate, error) {
	for block, rest := pem.Decode(key); block != nil; block, rest = pem.Decode(rest) {
		if strings.Contains(block.Type, "ENCRYPTED") || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED") {
			return tls.Certificate{}, errors.New("tls_key is encrypted, which is not supported: decrypt it with `openssl pkey`")
		}
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("tls_cert and tls_key: %w", err)
	}
	return pair, nil
}

func version(key, text string) (uint16, error) {
	switch text {
	case "":
		return 0, nil
	case "1.0":
		return tls.VersionTLS10, nil
	case "1.1":
		return tls.VersionTLS11, nil
	case "1.2":
		return tls.VersionTLS12, nil
	case "1.3":
		return tls.VersionTLS13, nil
	}
	return 0, fmt.Errorf("%s = %q: want 1.0, 1.1, 1.2 or 1.3", key, text)
}

func cipherSuites(names []string) ([]uint16, error) {
	var ids []uint16
	var faults []error
	known := append(tls.CipherSuites(), tls.InsecureCipherSuites()...)
	for _, name := range names {
		i := slices.IndexFunc(known, func(s *tls.CipherSuite) bool { return s.Name == name })
		if i < 0 {
			faults = append(faults, fmt.Errorf("tls_cipher_suites: %q is unknown: want names such as %s", name, known[0].Name))
			continue
		}
		ids = append(ids, known[i].ID)
	}
	return ids, errors.Join(faults...)
}

// A FileError says that a file with a secret or certificate cannot be used, so
// that nothing was sent.
type FileError struct {
	Key string // the TOML key that names the file
	Err error
}

func (e *FileError) Error() string { return e.Key + ": " + e.Err.Error() }

// Unwrap gives what is wrong with the file.
func (e *FileError) Unwrap() error { return e.Err }

// readSecret is the trimmed text of a file, which must not be empty.
func readSecret(key, path string) (string, error) {
	text, err := readBounded(key, path)
	if err != nil {
		return "", err
	}
	secret := strings.TrimSpace(string(text))
	if secret == "" {
		return "", &FileError{key, fmt.Errorf("%s is empty", path)}
	}
	if strings.ContainsAny(secret, "\r\n\x00") {
		return "", &FileError{key, fmt.Errorf("%s holds more than one line", path)}
	}
	return secret, nil
}

// readBounded reads a whole file of at most secretLimit bytes.
func readBounded(key, path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, &FileError{key, err}
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, secretLimit+1))
	if err != nil {
		return nil, &FileError{key, err}
	}
	if len(text) > secretLimit {
		return nil, &FileError{key, fmt.Errorf("%s is larger than %d bytes", path, secretLimit)}
	}
	return text, nil
}

// stamp tells whether a file is still the same.
type stamp struct {
	modified time.Time
	size     int64
	missing  bool
}

func stampsOf(paths []string) []stamp {
	stamps := make([]stamp, 0, len(paths))
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			stamps = append(stamps, stamp{missing: true})
			continue
		}
		stamps = append(stamps, stamp{modified: info.ModTime(), size: info.Size()})
	}
	return stamps
}
