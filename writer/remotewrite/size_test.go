package remotewrite

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kinglet"
	"kinglet/writer/queue"
)

// sized is an endpoint that takes requests up to a decoded size.
type sized struct {
	limit  int
	sizes  []int // decoded, of all requests
	big    int   // of them refused
	series []string
}

func (s *sized) Forget() {}

func (s *sized) Do(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	size, _ := binary.Uvarint(body)
	s.sizes = append(s.sizes, int(size))
	status := http.StatusOK
	if int(size) > s.limit {
		status = http.StatusRequestEntityTooLarge
		s.big++
	} else {
		s.series = append(s.series, bodyLines(body)...)
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: http.NoBody}, nil
}

// wideRow has n series of about size bytes each.
func wideRow(n, size, seed int) *kinglet.Row {
	long := strings.Repeat("x", size)
	row := &kinglet.Row{TimestampMs: nowMs + int64(seed)}
	var series []kinglet.Series
	for i := range n {
		series = append(series, kinglet.Series{Labels: labels("__name__", "m", "i", fmt.Sprint(i), "long", long)})
		row.Values = append(row.Values, float64(i))
	}
	row.Shape = kinglet.NewShape(series)
	return row
}

func newSizedBench(limit int) (*bench, *sized) {
	b := newBench(DefaultConfig())
	small := &sized{limit: limit}
	b.sender.client.http = small
	return b, small
}

func TestRequestsStayBelowWhatReceiversTake(t *testing.T) {
	for _, tt := range []struct {
		name            string
		series, size    int
		blocks          int // put together from so many of the encoder's
		atLeast, atMost int // requests
	}{
		{"small blocks", 40, 1 << 20, 0, 3, 3},
		{"a block that is too large by itself", 40, 1 << 20, 1, 3, 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, endpoint := newSizedBench(16 << 20)
				blocks := newEncoder(100).Encode(wideRow(tt.series, tt.size, 0))
				if tt.blocks == 1 {
					blocks = []queue.Block{merged(t, blocks)}
				}
				for _, block := range blocks {
					b.queue.Append(block)
				}
				b.run(t)
				if n := len(endpoint.sizes); n < tt.atLeast || n > tt.atMost || b.counts["sent"] != tt.series {
					t.Errorf("%d samples in %d requests, want %d in %d to %d", b.counts["sent"], n, tt.series, tt.atLeast, tt.atMost)
				}
				if endpoint.big > 0 {
					t.Errorf("requests of %d bytes, want at most 16 MiB decoded (RW-87)", slices.Max(endpoint.sizes))
				}
			})
		})
	}
}

// merged is blocks as one.
func merged(t *testing.T, blocks []queue.Block) queue.Block {
	t.Helper()
	raw, err := unpackBlocks(blocks)
	if err != nil {
		t.Fatal(err)
	}
	one := blocks[0]
	one.Stream, _ = compress(raw, nil)
	one.RawLen, one.Samples = len(raw), 0
	for i := range blocks {
		one.Samples += blocks[i].Samples
	}
	return one
}

func TestTheSizeThatAnEndpointTakesIsRemembered(t *testing.T) {
	for _, tt := range []struct {
		name         string
		blockSamples int
	}{
		{"requests of many blocks", 10},
		{"requests of a block", 100},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, endpoint := newSizedBench(300 << 10)
				var want []string
				for i := range 50 { // batches of a MiB
					blocks := newEncoder(tt.blockSamples).Encode(wideRow(100, 10<<10, i))
					for _, block := range blocks {
						b.queue.Append(block)
					}
					want = append(want, bodyLines(AppendBody(nil, blocks))...)
				}
				b.run(t)
				if endpoint.big > 4 {
					t.Errorf("%d requests were too large for it, want it learned after 4", endpoint.big)
				}
				if !slices.Equal(want, endpoint.series) {
					t.Errorf("%d samples arrived, want %d in order", len(endpoint.series), len(want))
				}
			})
		})
	}
}

func TestRequestsGrowAgainSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, endpoint := newSizedBench(300 << 10)
		var sending sync.WaitGroup
		sending.Go(func() { b.sender.Run(t.Context()) })
		minutes := func(n int) {
			for i := range n {
				b.queue.Append(newEncoder(100).Encode(wideRow(100, 10<<10, i))[0])
				<-time.After(time.Minute)
			}
			synctest.Wait()
		}
		minutes(60)
		if endpoint.big > 4+12 {
			t.Errorf("%d requests were too large in an hour, want about one in 5 minutes", endpoint.big)
		}
		endpoint.limit = 16 << 20 // somebody mended it
		minutes(180)
		if last := endpoint.sizes[len(endpoint.sizes)-1]; last < 1_000_000 {
			t.Errorf("requests of %d bytes three hours after the limit was lifted, want whole batches", last)
		}
		b.queue.Close()
		sending.Wait()
		if b.counts["sent"] != 100*240 {
			t.Errorf("counts are %v", b.counts)
		}
	})
}

func TestAnEndpointThatTakesNothingIsNotSentCrumbsForever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r requestSize
		for size := maxRequest; size > 100; size /= 2 {
			r.refused(size)
		}
		if got := r.most(); got != minRequest {
			t.Errorf("requests of %d bytes, want %d", got, minRequest)
		}
	})
}

func TestWhatWasLearnedOutlivesAChangeOfSettings(t *testing.T) {
	before := NewSender(DefaultConfig(), Batching{}, Source{}, nil, counts{}, nil)
	before.size.refused(1 << 20)
	before.identity.profile = ProfileVictoriaMetrics
	before.state.LastSuccess = time.Unix(1, 0)
	changed := DefaultConfig()
	changed.TimeoutMs = 1
	after := NewSender(changed, Batching{}, Source{}, nil, counts{}, nil)
	after.Inherit(before)
	if after.size != before.size || after.State().Profile != ProfileVictoriaMetrics || after.habits.FreshShare != 0.5 ||
		after.State().LastSuccess != before.state.LastSuccess {
		t.Errorf("knows %v, %s, %v", after.size, after.State().Profile, after.habits)
	}
	changed.URL = "http://elsewhere/"
	if after = NewSender(changed, Batching{}, Source{}, nil, counts{}, nil); after.size != (requestSize{}) {
		t.Fatal("a new sender knows nothing")
	}
	if after.Inherit(before); after.size != (requestSize{}) || after.State().Profile != ProfileOther {
		t.Errorf("knows %v, %s of another endpoint", after.size, after.State().Profile)
	}
}
