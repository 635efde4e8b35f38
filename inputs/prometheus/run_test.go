package prometheus

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"kinglet/conf/unit"
)

func TestUpdateWhileRunning(t *testing.T) {
	hits := make(chan string, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		select {
		case hits <- r.URL.Path:
		default:
		}
	}))
	defer server.Close()
	cfg := DefaultConfig()
	cfg.Interval, cfg.Timeout = unit.Duration{Duration: 100 * time.Millisecond}, unit.Duration{Duration: 100 * time.Millisecond}
	cfg.URLs = []string{server.URL + "/a"}
	in, out := newInput(t, testSettings(), cfg), &collector{}
	ctx, cancel := context.WithCancel(t.Context())
	var run sync.WaitGroup
	run.Go(func() {
		if err := in.Run(ctx, out); err != nil {
			t.Error(err)
		}
	})
	waitFor := func(path string) {
		t.Helper()
		deadline := time.After(10 * time.Second)
		for {
			select {
			case got := <-hits:
				if got == path {
					return
				}
			case <-deadline:
				t.Fatalf("nobody asked for %s", path)
			}
		}
	}
	waitFor("/a")
	more := cfg
	more.URLs = []string{server.URL + "/a", server.URL + "/b"}
	if err := in.Update([]Config{more}, testSettings()); err != nil {
		t.Error(err)
	}
	waitFor("/b")
	waitFor("/a")
	if n := len(in.Targets()); n != 2 {
		t.Errorf("%d targets", n)
	}
	if err := in.Update([]Config{cfg}, testSettings()); err != nil {
		t.Error(err)
	}
	if targets := in.Targets(); len(targets) != 1 || !strings.HasSuffix(targets[0].URL, "/a") {
		t.Errorf("targets %v", targets)
	}
	cancel()
	run.Wait()
}
