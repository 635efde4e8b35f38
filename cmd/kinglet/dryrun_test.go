package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"kinglet/internal/tree"
)

func TestDryRunPrintsSamplesOnceAndTellsOfTargetsThatAreDown(t *testing.T) {
	up := node(t, func() string {
		return "b{z=\"1\",a=\"two words\"} 1.234567e+06\nb{a=\"1\",\"a-b\"=\"x\"} 0.0001\nup_since NaN\n"
	})
	down := httptest.NewServer(http.NotFoundHandler())
	defer down.Close()
	dir := tree.Make(t, map[string]string{
		"config.toml":             "[global]\nhostname = \"n\"\n[[writers]]\nurl = \"http://127.0.0.1:1/never\"\n",
		"input.prometheus/a.toml": fmt.Sprintf("[[instances]]\nurls = [%q]\nurl_label_key = \"-\"\nscrape_meta = false\n", up.URL),
		"input.cpu/cpu.toml":      "",
	})
	var out, errs bytes.Buffer
	code := run(t.Context(), []string{"--configs", dir, "--test", "--inputs", "prometheus:cpu"}, process{
		stdout: &out, stderr: &errs, getenv: func(string) (string, bool) { return "", false },
	})
	got := regexp.MustCompile(`(?m)^\d\d:\d\d:\d\d `).ReplaceAllString(out.String(), "")
	lines := map[string]bool{}
	for line := range strings.Lines(got) {
		lines[strings.TrimSuffix(line, "\n")] = true
	}
	for _, want := range []string{
		"b a=two words agent_hostname=n z=1 1.234567e+06",
		"b a=1 a_b=x agent_hostname=n 0.0001",
		"up_since agent_hostname=n NaN",
		"up agent_hostname=n 1",
	} {
		if !lines[want] {
			t.Errorf("no line %q in\n%s", want, got)
		}
	}
	if code != exitOK || len(lines) != 4 {
		t.Errorf("exit code %d, %d lines:\n%s%s", code, len(lines), got, &errs)
	}

	out.Reset()
	dir = tree.Make(t, map[string]string{
		"config.toml":             "",
		"input.prometheus/a.toml": fmt.Sprintf("[[instances]]\nurls = [%q]\n", down.URL),
	})
	code = run(t.Context(), []string{"--configs", dir, "--test"}, process{
		stdout: &out, stderr: &errs, getenv: func(string) (string, bool) { return "", false },
	})
	if code != exitFailure || !strings.Contains(errs.String(), "1 of 1 targets were down") || !strings.Contains(out.String(), "up ") {
		t.Errorf("exit code %d\n%s%s", code, &out, &errs)
	}
}
