package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDoctor(t *testing.T) {
	good := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			http.NotFound(w, r)
		}
	}))
	defer good.Close()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	dir := t.TempDir()
	tree := fmt.Sprintf("[writer_opt]\nqueue_dir = %q\n[[writers]]\nurl = %q\n[[writers]]\nname = \"b\"\nurl = %q\n"+
		"[heartbeat]\nenable = true\nurl = %q\n", t.TempDir(), good.URL+"/prometheus/v1/write", gone.URL, good.URL+"/v1/n9e/heartbeat")
	if err := os.WriteFile(filepath.Join(dir, "config.toml"), []byte(tree), 0o600); err != nil {
		t.Fatal(err)
	}
	empty := t.TempDir()
	if err := os.WriteFile(filepath.Join(empty, "config.toml"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	off := t.TempDir()
	tree = fmt.Sprintf("[[writers]]\nurl = %q\n[heartbeat]\nenable = true\ninterval = \"2h\"\nurl = %q\n", good.URL, good.URL+"/v1/n9e/heartbeat?token=hidden")
	if err := os.WriteFile(filepath.Join(off, "config.toml"), []byte(tree), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		args   []string
		code   int
		stdout string
		stderr string
	}{
		{"one endpoint is down", []string{"-configs", dir}, exitFailure, "FAIL  tcp", ""},
		{"one that is well", []string{"--configs", dir, "--writer", "1"}, exitOK, "writer 1  http://127.0.0.1", ""},
		{"a heartbeat that is not sent", []string{"-configs", off}, exitFailure,
			"/v1/n9e/heartbeat?token=...\nFAIL  config       config.toml:5: heartbeat.interval: 2h0m0s, want 4s to 1h; without that no heartbeat is sent", ""},
		{"a writer alone, beside such a heartbeat", []string{"-configs", off, "-writer", "1"}, exitOK, "writer 1", ""},
		{"no such writer", []string{"-configs", dir, "-writer", "c"}, exitFailure, "", `want one of ["1" "b"]`},
		{"no writers", []string{"-configs", empty}, exitFailure, "", "has no [[writers]]"},
		{"no tree", []string{"-configs", filepath.Join(dir, "nosuch")}, exitFailure, "", "nosuch"},
		{"an odd flag", []string{"-nosuch"}, exitUsage, "", "see `kinglet doctor -help`"},
		{"an odd argument", []string{"now"}, exitUsage, "", `unexpected "now"`},
		{"no time", []string{"-timeout", "1ms"}, exitUsage, "", "want 100ms to 1m"},
		{"help", []string{"-help"}, exitOK, "", "without it nothing is written"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out, errs strings.Builder
			p := process{stdout: &out, stderr: &errs, getenv: func(string) (string, bool) { return "", false }}
			code := run(t.Context(), append([]string{"doctor"}, tt.args...), p)
			if code != tt.code || !strings.Contains(out.String(), tt.stdout) || !strings.Contains(errs.String(), tt.stderr) || (tt.stderr == "") != (errs.String() == "") {
				t.Errorf("exit %d\nstdout %s\nstderr %s\nwant %d, %q, %q", code, out.String(), errs.String(), tt.code, tt.stdout, tt.stderr)
			}
		})
	}
	t.Run("JSON", func(t *testing.T) {
		var out strings.Builder
		run(t.Context(), []string{"doctor", "-configs", dir, "-json"}, process{stdout: &out, stderr: &out, getenv: os.LookupEnv})
		var reports []struct {
			Of     string
			Checks []struct{ Name, Grade, Detail string }
		}
		if err := json.Unmarshal([]byte(out.String()), &reports); err != nil || len(reports) != 4 || reports[1].Of != "writer b" ||
			reports[2].Of != "queue_dir" || reports[3].Of != "heartbeat" {
			t.Fatalf("%v: %s", err, out.String())
		}
		if last := reports[1].Checks[len(reports[1].Checks)-1]; last.Name != "tcp" || last.Grade != "FAIL" {
			t.Errorf("got %v", last)
		}
	})
}
