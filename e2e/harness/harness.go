// Package harness is what the end-to-end tests share: it finds or builds the
// programs under test, runs them, and waits for what comes of it. It knows
// nothing of kinglet but where its programs lie. Only tests import it.
package harness

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Binary is the path of a program of cmd, such as kinglet-demo: the one that
// the environment names, in KINGLET_DEMO_BIN, or else one that is built now.
// Clean removes what was built.
func Binary(name string) (path string, clean func(), err error) {
	clean = func() {}
	if path = os.Getenv(strings.ToUpper(strings.ReplaceAll(name, "-", "_")) + "_BIN"); path != "" {
		path, err = filepath.Abs(path)
		return path, clean, err
	}
	dir, err := os.MkdirTemp("", "kinglet-e2e-")
	if err != nil {
		return "", clean, err
	}
	clean = func() { _ = os.RemoveAll(dir) } // a leftover in the folder of temporary files harms nobody
	path = filepath.Join(dir, name)
	if text, err := exec.Command("go", "build", "-buildvcs=false", "-o", path, "kinglet/cmd/"+name).CombinedOutput(); err != nil {
		clean()
		return "", func() {}, fmt.Errorf("build %s: %w\n%s", name, err, text)
	}
	return path, clean, nil
}

// AtOnce bounds the tests of this process that run side by side, unless
// -parallel was given. TestMain calls it.
func AtOnce(n string) {
	flag.Parse()
	chosen := false
	flag.Visit(func(f *flag.Flag) { chosen = chosen || f.Name == "test.parallel" })
	if !chosen {
		_ = flag.Set("test.parallel", n) // the flag exists in every test binary
	}
}

// Eventually asks until done says so; at the deadline it fails the test with
// what done said last.
func Eventually(t testing.TB, deadline time.Duration, what string, done func() (ok bool, state string)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, state := done()
		if ok {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: not within %v; last seen: %s", what, deadline, state)
		case <-tick.C:
		}
	}
}

// FreeAddress is a loopback address that nobody listens on.
func FreeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// Get fetches a page of at most 64 MiB. Another status than 2xx is an error.
func Get(url string) (string, error) {
	client := http.Client{Timeout: 20 * time.Second}
	response, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 64<<20))
	if err == nil && response.StatusCode/100 != 2 {
		err = errors.New(response.Status + ": " + string(body))
	}
	return string(body), err
}
