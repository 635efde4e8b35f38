package inputs

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestCheckLabels(t *testing.T) {
	for _, tt := range []struct {
		name    string
		labels  map[string]string
		anyName bool
		want    string
	}{
		{"plain names", map[string]string{"a": "1", "_b": "", "C9": "-"}, false, ""},
		{"what is rewritten", map[string]string{"a-b": "1", "a.b": "1", "a b": "1", "a/b": "1"}, false, ""},
		{"the metric name", map[string]string{"__name__": "x"}, false,
			`labels: label name "__name__": want one that does not begin with __, which is reserved`},
		{"the metric name, written oddly", map[string]string{"--name__": "x"}, false,
			`labels: label name "--name__": want one that is not sent as __name__, which is reserved`},
		{"a reserved name with any name allowed", map[string]string{"__a": "x", "héé": "x"}, true,
			`labels: label name "__a": want one that does not begin with __, which is reserved`},
		{"no name, a digit, another character, another alphabet", map[string]string{"": "x", "0": "x", "a:b": "x", "é": "x"}, false,
			"labels: the label name is empty: want letters, digits and _, not a digit first\n" +
				"labels: label name \"0\": want letters, digits and _, not a digit first\n" +
				"labels: label name \"a:b\": want letters, digits and _, not a digit first\n" +
				"labels: label name \"é\": want letters, digits and _, not a digit first"},
		{"bytes that are no text", map[string]string{"a": "\xff", "\xff": ""}, true,
			"labels: the value of \"a\" is not UTF-8: want text in UTF-8\nlabels: label name \"\\xff\": want UTF-8"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			if err := errors.Join(CheckLabels("labels", tt.labels, tt.anyName)...); err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestCheckInterval(t *testing.T) {
	for d, ok := range map[time.Duration]bool{
		-time.Second: false, 0: false, 1: false, 99 * time.Millisecond: false, MinInterval: true, time.Minute: true, MaxInterval: true, MaxInterval + 1: false,
	} {
		if err := CheckInterval(d); (err == nil) != ok {
			t.Errorf("%v: %v", d, err)
		}
	}
}
