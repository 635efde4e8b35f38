package conf

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// secretWords are parts of keys whose values are never shown.
var secretWords = [...]string{"pass", "token", "secret", "header", "tls_key", "pwd", "credential", "authorization", "cookie"}

// isSecret reports whether a key's path, or a line of TOML, speaks of a secret.
func isSecret(path string) bool {
	path = strings.ToLower(path)
	return slices.ContainsFunc(secretWords[:], func(w string) bool { return strings.Contains(path, w) })
}

// secrets are the secret values of a tree, to be kept out of messages.
type secrets struct{ values []string }

// note remembers a value if it is a secret, or an address with one in it.
func (s *secrets) note(path, value string) {
	if isSecret(path) && !strings.HasSuffix(path, "_file") {
		if !isHeaderName(path, value) {
			s.add(value)
		}
		return
	}
	if !strings.Contains(value, "@") || !strings.Contains(value, "://") {
		return
	}
	_, rest, _ := strings.Cut(value, "://")
	info, _, _ := strings.Cut(rest, "@")
	if _, password, ok := strings.Cut(info, ":"); ok {
		s.add(password)
		if plain, err := url.PathUnescape(password); err == nil {
			s.add(plain)
		}
	}
}

// isHeaderName reports whether the value stands where `headers` has a name, and
// is one of letters, digits and dashes. A message must name the header that it is
// about.
func isHeaderName(path, value string) bool {
	_, index, ok := strings.Cut(strings.ToLower(path), "headers[")
	i, err := strconv.Atoi(strings.TrimSuffix(index, "]"))
	odd := func(r rune) bool {
		return r != '-' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}
	return ok && err == nil && i%2 == 0 && !strings.ContainsFunc(value, odd)
}

// add leaves out what is so short that it stands in ordinary sentences.
func (s *secrets) add(value string) {
	if len(value) >= 6 {
		s.values = append(s.values, value)
	}
}

// hide takes the secrets out of a message, longer ones first so that none
// hides a part of another.
func (s *secrets) hide(message string) string {
	slices.SortFunc(s.values, func(a, b string) int { return len(b) - len(a) })
	for _, v := range s.values {
		message = strings.ReplaceAll(message, v, "<secret>")
	}
	return message
}
