package conf

import (
	"errors"
	"fmt"
	"strings"

	"kinglet/writer/remotewrite"
)

// validator is what every Config can do.
type validator interface{ Validate() error }

// validate reports the faults that a Config finds in itself, each at the line
// of its key. It reports whether there were none. A writer's URL that cannot
// work is a mistake only: the other writers do.
func (l *loader) validate(v any, n *node, path string) bool {
	checked, ok := v.(validator)
	if !ok {
		return true
	}
	before := l.report.faults
	for _, fault := range flatten(checked.Validate()) {
		at, key, message := locate(fault, n, path)
		say := l.report.errorf
		if _, unusable := errors.AsType[*remotewrite.URLError](fault); unusable {
			say = l.report.mistake
		}
		say(at, key, "%s", l.secrets.hide(message))
	}
	return l.report.faults == before
}

// flatten takes joined errors apart.
func flatten(err error) []error {
	if err == nil {
		return nil
	}
	list, ok := err.(interface{ Unwrap() []error }) //nolint:errorlint // the list itself is wanted, not one within
	if !ok {
		return []error{err}
	}
	var all []error
	var messages []string
	for _, e := range list.Unwrap() {
		all = append(all, flatten(e)...)
		messages = append(messages, e.Error())
	}
	if strings.Join(messages, "\n") != err.Error() {
		return []error{err} // more than a list: a message of its own around several errors
	}
	return all
}

// hasVerb reports whether a message goes on after its key as a sentence does.
func hasVerb(rest string) bool {
	for _, verb := range []string{" is ", " has ", " holds ", " wants "} {
		if strings.HasPrefix(rest, verb) {
			return true
		}
	}
	return false
}

// locate finds the line of a fault that begins with its key, `a.b[1] = value:
// want ...`. It returns the full path of the key and the rest of the message.
func locate(fault error, n *node, path string) (at Pos, key, message string) {
	message = oneLine(fault.Error())
	end := strings.IndexFunc(message, func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.[]-", r)
	})
	if end <= 0 {
		return n.pos, path, message
	}
	key, rest := message[:end], message[end:]
	switch {
	case strings.HasPrefix(rest, " = "):
		message = strings.Replace(rest[3:], ": want ", ", want ", 1)
	case strings.HasPrefix(rest, ": "):
		message = rest[2:]
		var rule int
		if _, err := fmt.Sscanf(message, "rule %d: ", &rule); err == nil && rule > 0 {
			_, message, _ = strings.Cut(message, ": ")
			key = fmt.Sprintf("%s[%d]", key, rule-1)
			return locate(errors.New(message), n.find(key), joined(path, key))
		}
	case n.find(key) != n && hasVerb(rest):
		message = strings.Replace(rest[1:], ": want ", ", want ", 1)
	case n.find(key) != n:
		return n.find(key).pos, path, message // a sentence that begins with a key
	default:
		return n.pos, path, message
	}
	return n.find(key).pos, joined(path, key), message
}

// joined is the path of a key in the table at path.
func joined(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
