package stencil

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/golang/snappy"
	"github.com/klauspost/compress/s2"
)

// texts are of every kind that a matcher can meet: noise, repeats that are near, far
// and beyond 64 KiB, runs, and lengths about those of a window and of a copy.
func texts(r *rand.Rand) []byte {
	var text []byte
	for want := []int{0, 3, 7, 8, 63, 64, 65, matchWindow - 1, matchWindow, matchWindow + 9, 200_000}[r.IntN(11)]; len(text) < want; {
		n := 1 + r.IntN(300)
		if len(text) == 0 || r.IntN(3) == 0 {
			for range n {
				text = append(text, byte('a'+r.IntN(1+r.IntN(26))))
			}
			continue
		}
		reach := []int{1, 70, nearReach + 50, farReach + 50, len(text)}[r.IntN(5)]
		back := 1 + r.IntN(min(reach, len(text)))
		for range n {
			text = append(text, text[len(text)-back])
		}
	}
	return text
}

func TestWhatAMatcherEncodesIsTheText(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 2))
	var m matcher
	for range 300 {
		text := texts(r)
		encoded := m.encode(binary.AppendUvarint(nil, uint64(len(text))), text)
		got, err := snappy.Decode(nil, encoded)
		if err != nil || !bytes.Equal(got, text) {
			t.Fatalf("a text of %d bytes is another after decoding: %v", len(text), err)
		}
		if len(encoded) > s2.MaxEncodedLen(len(text)) {
			t.Fatalf("%d bytes became %d", len(text), len(encoded))
		}
	}
}

func TestAMatcherIsNoWorseThanTheLibrary(t *testing.T) {
	var m matcher
	for _, page := range []string{"kube-proxy", "kubelet", "kubelet-cadvisor", "pods-80.kubelet-cadvisor"} {
		series, values := recorded(t, page+".txt.gz")
		order := withoutName(series)
		text := plain(t, rowOf(series, values, order[:min(1000, len(order))]))
		ours, theirs := len(m.encode(nil, text)), len(s2.EncodeSnappyBest(nil, text))
		if t.Logf("%s: %d bytes, by the library %d", page, ours, theirs); ours > theirs*98/100 {
			t.Errorf("%s: %d bytes, want at most 98 %% of the library's %d", page, ours, theirs)
		}
	}
}
