package scrape

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// TestATargetThatIsNotThereIsSaidOnce is a node without kube-proxy: up is 0 at
// every scrape of an hour, and the log has one line of it, and one at its end.
func TestATargetThatIsNotThereIsSaidOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logged bytes.Buffer
		m, err := NewManager("test", slog.New(slog.NewTextHandler(&logged, nil)), prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		absent := &script{pages: []string{"!"}}
		m.Update([]Target{absent.target("127.0.0.1:10249")})
		out := &collector{}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = m.Run(ctx, out) // ends with ctx
		}()
		<-time.After(time.Hour)
		synctest.Wait()
		if pushed := len(out.take()); pushed < 359 {
			t.Errorf("up was sent %d times in an hour", pushed)
		}
		if lines := strings.Count(logged.String(), "\n"); lines != 1 || !strings.Contains(logged.String(), "target is down") {
			t.Errorf("%d lines in an hour:\n%s", lines, logged.String())
		}
		absent.mu.Lock()
		absent.pages = []string{"m 1\n"}
		absent.mu.Unlock()
		<-time.After(time.Hour)
		cancel()
		<-done
		if lines := strings.Count(logged.String(), "\n"); lines != 2 || !strings.Contains(logged.String(), "target is up again") {
			t.Errorf("%d lines in two hours:\n%s", lines, logged.String())
		}
	})
}
