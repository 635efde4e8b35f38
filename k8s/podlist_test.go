package k8s

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// itemsOf is what splitList finds, as text.
func itemsOf(r io.Reader) (items []string, err error) {
	err = splitList(r, func(item []byte) error {
		items = append(items, string(item))
		return nil
	})
	return items, err
}

func TestSplitListFindsTheElementsOfItems(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       []string
		fault      string
	}{
		{"two pods", `{"kind":"PodList","items":[{"a":1},{"b":{"c":[2]}}]}`, []string{`{"a":1}`, `{"b":{"c":[2]}}`}, ""},
		{"none", `{"items":[]}`, nil, ""},
		{"null", `{"kind":"PodList","items":null}`, nil, ""},
		{"items before the rest", ` {"items":[{}],"metadata":{"items":[{"no":1}]}} `, []string{`{}`}, ""},
		{"brackets and quotes in strings", `{"items":[{"a":"}]{[\"\\"},{"b":"\\\""}]}`, []string{`{"a":"}]{[\"\\"}`, `{"b":"\\\""}`}, ""},
		{"items within something else", `{"metadata":{"items":[{"no":1}]},"x":[{"items":[{}]}],"items":[{"a":1}]}`, []string{`{"a":1}`}, ""},
		{"a Status", `{"kind":"Status","code":403}`, nil, "the answer holds no list of pods: want a JSON object with items"},
		{"no JSON", `Forbidden (user=x)`, nil, "the answer holds no list of pods: want a JSON object with items"},
		{"nothing", ``, nil, "the answer holds no list of pods: want a JSON object with items"},
		{"cut off", `{"items":[{"a":1},{"b"`, []string{`{"a":1}`}, "unexpected EOF"},
		{"cut off behind an element", `{"items":[{"a":1}`, []string{`{"a":1}`}, "unexpected EOF"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for kind, r := range map[string]io.Reader{
				"whole": strings.NewReader(tt.text), "byte by byte": iotest.OneByteReader(strings.NewReader(tt.text)),
			} {
				got, err := itemsOf(r)
				if fault := message(err); fault != tt.fault {
					t.Errorf("%s: %q, want %q", kind, fault, tt.fault)
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("%s (-want +got):\n%s", kind, diff)
				}
			}
		})
	}
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestSplitListIsBounded(t *testing.T) {
	for _, tt := range []struct {
		name string
		r    io.Reader
		want string
	}{
		{"pods", io.MultiReader(strings.NewReader(`{"items":[`), strings.NewReader(strings.Repeat(`{},`, maxPods+1))), "the list holds more than 8192 pods"},
		{"a pod", io.MultiReader(strings.NewReader(`{"items":[{"a":"`), io.LimitReader(endless('x'), maxPodBytes+1<<20)), "a pod is longer than 8388608 bytes"},
		{"the list", io.MultiReader(strings.NewReader(`{"x":"`), endless('x')), "the list is longer than 16777216 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := splitBounded(tt.r, 16<<20, func([]byte) error { return nil }); message(err) != tt.want {
				t.Errorf("%v, want %s", err, tt.want)
			}
		})
	}
}

// endless is one byte again and again.
type endless byte

func (e endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(e)
	}
	return len(p), nil
}

func TestSplitListEndsWithWhatItsReaderSays(t *testing.T) {
	broken := errors.New("broken")
	if _, err := itemsOf(io.MultiReader(strings.NewReader(`{"items":[{}`), iotest.ErrReader(broken))); !errors.Is(err, broken) {
		t.Errorf("%v, want %v", err, broken)
	}
}

// FuzzSplitList holds splitList against encoding/json: of a JSON object it
// finds the same elements, of anything else it makes no more than an error or
// texts.
func FuzzSplitList(f *testing.F) {
	f.Add([]byte(`{"kind":"PodList","items":[{"a":"\"}]"},{"b":[1,{"c":null}]}]}`))
	f.Add([]byte(`{"items":null}`))
	f.Add([]byte(`{"metadata":{"items":[{}]},"items":[]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := itemsOf(bytes.NewReader(text))
		var list map[string]json.RawMessage
		var items []json.RawMessage
		if json.Unmarshal(text, &list) != nil || list["items"] == nil || json.Unmarshal(list["items"], &items) != nil {
			return
		}
		if bytes.Count(text, []byte(`items"`)) > 1 || bytes.Contains(text, []byte(`\`)) {
			return // keys that are there twice, or written otherwise
		}
		var want []string
		for _, item := range items {
			if item[0] != '{' && item[0] != '[' {
				return // no list of objects
			}
			want = append(want, string(item))
		}
		if err != nil || !cmp.Equal(want, got) {
			t.Errorf("%q: %q, %v; want %q", text, got, err, want)
		}
	})
}
