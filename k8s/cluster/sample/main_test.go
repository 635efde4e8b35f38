package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func ask(h http.Handler, target string) (int, string) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, target, http.NoBody))
	return w.Code, w.Body.String()
}

func TestPageCountsItsScrapes(t *testing.T) {
	o, err := parse([]string{"-page", "/stats?format=x&filter=a%20b", "-series", "2"})
	if err != nil {
		t.Fatal(err)
	}
	one, other := handler(o, 7), handler(o, 7)
	for _, target := range []string{"/stats", "/stats?format=x", "/stats?format=x&filter=ab", "/metrics"} {
		if code, _ := ask(one, target); code != http.StatusNotFound {
			t.Errorf("%s answers %d", target, code)
		}
	}
	if code, _ := ask(one, "/healthz"); code != http.StatusOK {
		t.Errorf("/healthz answers %d", code)
	}
	for _, want := range []string{"\nsample_scrapes_total 1\n", "\nsample_scrapes_total 2\n"} {
		code, page := ask(one, "/stats?filter=a+b&format=x")
		if code != http.StatusOK || !strings.Contains(page, want) || !strings.Contains(page, "\nsample_boot_id 7\n") {
			t.Errorf("%d, want %q:\n%s", code, want, page)
		}
		if n := strings.Count(page, "\nsample_filler{"); n != 2 {
			t.Errorf("%d more series, want 2", n)
		}
	}
	if _, page := ask(other, "/stats?format=x&filter=a%20b"); !strings.Contains(page, "\nsample_scrapes_total 1\n") {
		t.Errorf("each port counts for itself:\n%s", page)
	}
}

func TestPageIsAPath(t *testing.T) {
	if _, err := parse([]string{"-page", "metrics"}); err == nil {
		t.Error("metrics is no path, and is taken")
	}
}
