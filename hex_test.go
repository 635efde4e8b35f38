package kinglet

import (
	"math/rand/v2"
	"strings"
	"testing"
)

func TestHexedTextIsTheTextAgain(t *testing.T) {
	id := strings.Repeat("0123456789abcdef", 4)
	for name, text := range map[string]string{
		"none":                  "",
		"no digits":             "/kubepods.slice/xyz",
		"digits alone":          id,
		"an odd number of them": id + "7",
		"between text":          "pod" + id + ".scope",
		"at the beginning":      id + ".scope",
		"at the end":            "a/" + id,
		"two runs":              id + "-" + id,
		"too few":               "x" + id[:shortestHex-1] + "x",
		"just enough":           "x" + id[:shortestHex] + "x",
		"capitals":              strings.ToUpper(id),
		"bytes around digits":   "/:`g" + "\x00\xff" + id + "/:`g",
		"a long text, then one": strings.Repeat("z", 300) + id,
	} {
		t.Run(name, func(t *testing.T) {
			hexed := appendHexed(nil, []byte(text))
			if got := string(appendUnhexed(nil, hexed)); got != text {
				t.Errorf("got %q, want %q", got, text)
			}
		})
	}
	if n := len(appendHexed(nil, []byte(id))); n != 2+len(id)/2 {
		t.Errorf("64 digits take %d bytes", n)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 5_000 {
		text := make([]byte, r.IntN(120))
		for i := range text {
			text[i] = "0123456789abcdefabcdef0123456789xyz"[r.IntN(33+r.IntN(3))]
		}
		if got := appendUnhexed(nil, appendHexed(nil, text)); string(got) != string(text) {
			t.Fatalf("got %q, want %q", got, text)
		}
	}
}
