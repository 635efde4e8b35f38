package writer

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kinglet"
	"kinglet/conf/unit"
	"kinglet/writer/remotewrite"
)

// lateReader is an endpoint that answers first and reads the request later, as
// net/http may let it.
type lateReader struct {
	receiver
	may     chan struct{} // closed when it reads
	reading sync.WaitGroup
}

func (r *lateReader) Do(request *http.Request) (*http.Response, error) {
	r.reading.Go(func() {
		defer request.Body.Close()
		<-r.may
		body, err := io.ReadAll(request.Body)
		if err != nil {
			body = nil // which Decode refuses
		}
		r.keep(body)
	})
	return &http.Response{StatusCode: http.StatusNoContent, Header: http.Header{}, Body: http.NoBody}, nil
}

// Blocks lie in memory that is used again and again. Endpoints that are fast and
// slow, that refuse and that read late must all be sent what was scraped, though
// it was written over since for others.
func TestMemoryIsNotUsedAgainWhileAnEndpointNeedsIt(t *testing.T) {
	fast, slow, failing := &receiver{}, &receiver{}, &receiver{}
	serve := func(r *receiver, before func(n, size int) int) string {
		n := 0
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
			body, err := io.ReadAll(request.Body)
			n++
			if status := before(n, len(body)); status/100 != 2 || err != nil {
				w.WriteHeader(status)
				return
			}
			r.keep(body)
		}))
		t.Cleanup(srv.Close)
		return srv.URL
	}
	late := &lateReader{may: make(chan struct{})}
	urls := []string{
		serve(fast, func(int, int) int { return 200 }),
		serve(slow, func(int, int) int { <-time.After(time.Millisecond); return 200 }),
		serve(failing, func(n, size int) int {
			if n%3 == 2 && size > 2000 {
				return http.StatusRequestEntityTooLarge // and is sent in halves
			}
			return []int{200, 500, 200}[n%3]
		}),
		"http://late/",
	}
	cfg := DefaultConfig()
	cfg.Linger, cfg.Batch, cfg.DrainTimeout = unit.Duration{}, 500, unit.Seconds(60)
	p, err := newPipeline(cfg, slog.New(slog.DiscardHandler), func(c remotewrite.Config) (remotewrite.Doer, error) {
		if c.URL == "http://late/" {
			return late, nil
		}
		return remotewrite.NewHTTP(c)
	})
	if err != nil {
		t.Fatal(err)
	}
	var endpoints []remotewrite.Config
	for _, url := range urls {
		e := remotewrite.DefaultConfig()
		e.Name, e.URL, e.MinBackoff = url, url, unit.Duration{Duration: time.Millisecond}
		endpoints = append(endpoints, e)
	}
	if err := p.Update(endpoints); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = p.Run(ctx) }) // it has no error to tell

	const scrapes, series = 150, 60
	shape := rowOf(series, 1).Shape
	var want []string
	for i := range scrapes {
		row := &kinglet.Row{Shape: shape, TimestampMs: int64(1_700_000_000_000 + i), Values: make([]float64, series)}
		for c := range row.Values {
			row.Values[c] = float64(i*series + c)
			want = append(want, fmt.Sprintf("%v %v @%d", shape.AppendLabels(nil, c), row.Values[c], row.TimestampMs))
		}
		if err := p.Push(ctx, row); err != nil {
			t.Fatal(err)
		}
		if i%5 == 4 {
			<-time.After(5 * time.Millisecond)
		}
	}
	cancel()
	running.Wait()
	close(late.may)
	late.reading.Wait()
	slices.Sort(want)
	for name, r := range map[string]*receiver{"fast": fast, "slow": slow, "failing": failing, "late": &late.receiver} {
		got := r.got()
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: lost, twice or changed:\n%.1000s", name, diff)
		}
	}
}
