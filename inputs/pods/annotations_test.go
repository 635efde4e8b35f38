package pods

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kinglet/k8s"
)

func TestAnnotationsSayWhereToScrape(t *testing.T) {
	long := "/" + strings.Repeat("x", maxPathBytes)
	for _, tt := range []struct {
		name string
		ann  map[string]string // without the prefix
		want []string          // URLs
		code Code              // of a refusal
		says string            // in its reason
	}{
		{"the port", map[string]string{"port": "9090"}, []string{"http://10.0.0.1:9090/metrics"}, "", ""},
		{"several ports, each once", map[string]string{"port": "9090, 9091 9090"}, []string{"http://10.0.0.1:9090/metrics", "http://10.0.0.1:9091/metrics"}, "", ""},
		{"path and query", map[string]string{"port": "1", "path": "/a/b?x=1&y=%2F"}, []string{"http://10.0.0.1:1/a/b?x=1&y=%2F"}, "", ""},
		{"an escaped path", map[string]string{"port": "1", "path": "/a%2Fb"}, []string{"http://10.0.0.1:1/a%2Fb"}, "", ""},
		{"https", map[string]string{"port": "8443", "scheme": "HTTPS"}, []string{"https://10.0.0.1:8443/metrics"}, "", ""},
		{"without a port, those declared", nil, []string{"http://10.0.0.1:8080/metrics", "http://10.0.0.1:8081/metrics"}, "", ""},
		{"blanks", map[string]string{"port": " 9090 ", "path": " /m ", "scheme": " http"}, []string{"http://10.0.0.1:9090/m"}, "", ""},

		{"another host in the port", map[string]string{"port": "80@evil.example"}, nil, BadAnnotation, `annotation prometheus.io/port = "80@evil.example": want a port from 1 to 65535`},
		{"a port's name", map[string]string{"port": "http"}, nil, BadAnnotation, `port = "http": want a port`},
		{"port 0", map[string]string{"port": "0"}, nil, BadAnnotation, `port = "0": want a port`},
		{"port 70000", map[string]string{"port": "70000"}, nil, BadAnnotation, `port = "70000": want a port`},
		{"no port", map[string]string{"port": ""}, nil, BadAnnotation, `port = "": want a port`},
		{"one bad port of two", map[string]string{"port": "80,x"}, nil, BadAnnotation, `port = "80,x": want a port`},
		{"a negative port", map[string]string{"port": "-1"}, nil, BadAnnotation, "want a port"},
		{"many ports", map[string]string{"port": "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,32,33"}, nil, BadAnnotation, "up to 32 of them"},
		{"a path without its slash", map[string]string{"path": "x"}, nil, BadAnnotation, `path = "x": want a path such as /metrics`},
		{"another host in the path", map[string]string{"path": "@h/x"}, nil, BadAnnotation, `path = "@h/x": want a path`},
		{"a host for a path", map[string]string{"path": "//h"}, nil, BadAnnotation, `path = "//h": want a path`},
		{"a URL for a path", map[string]string{"path": "http://h/x"}, nil, BadAnnotation, "want a path"},
		{"a line break in the path", map[string]string{"path": "/x\r\nHost: h"}, nil, BadAnnotation, "without spaces"},
		{"a fragment", map[string]string{"path": "/x#y"}, nil, BadAnnotation, "without spaces, \\ and #"},
		{"a long path", map[string]string{"path": long}, nil, BadAnnotation, "want at most 2048 bytes"},
		{"a file", map[string]string{"scheme": "file", "path": "/etc/passwd"}, nil, BadAnnotation, `scheme = "file": want http or https`},
		{"all wrong at once", map[string]string{"scheme": "ftp", "port": "x"}, nil, BadAnnotation, `want a port from 1 to 65535, or up to 32 of them with commas between; annotation prometheus.io/scheme = "ftp"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pod := running("a", annotate(tt.ann), containers(container("c", 8080, 8081)))
			got := verdicts(t, nil, pod)
			var urls []string
			for _, v := range got {
				if v.Scraped {
					urls = append(urls, v.URL)
				}
			}
			if diff := cmp.Diff(tt.want, urls); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if tt.code != "" && (got[0].Code != tt.code || !strings.Contains(got[0].Reason, tt.says)) {
				t.Errorf("%s: %s, want %s: %s", got[0].Code, got[0].Reason, tt.code, tt.says)
			}
		})
	}
}

// FuzzAnnotations: whatever a pod's annotations say, with rules or without, no
// target has another host than the pod, port 0, or is a file.
func FuzzAnnotations(f *testing.F) {
	f.Add("80@evil.example", "@evil.example/x", "http")
	f.Add("8080", "//evil.example", "https")
	f.Add("0,8080", "/a?b=c", "file")
	f.Add("[::1]:80", "/\\evil.example", "HTTP")
	config := carriedOver()
	config.RequireAnnotation = true
	// The worst rules there can be: text of the pod as it is.
	worst := DefaultConfig()
	worst.RelabelConfigs = rules(f, `
		[[r]]
		source_labels = ["__meta_kubernetes_pod_annotation_prometheus_io_port"]
		target_label = "__address__"
		[[r]]
		source_labels = ["__meta_kubernetes_pod_annotation_prometheus_io_path"]
		target_label = "__metrics_path__"
		[[r]]
		source_labels = ["__meta_kubernetes_pod_annotation_prometheus_io_scheme"]
		target_label = "__scheme__"`)
	worst.AnnotationPrefix = "other" // so that it is left to the rules
	worst.RequireAnnotation = false
	own := DefaultConfig()
	f.Fuzz(func(t *testing.T, port, path, scheme string) {
		pod := running("a", annotate(map[string]string{"port": port, "path": path, "scheme": scheme}), containers(container("c", 8080)))
		for _, cfg := range []Config{own, config, worst} {
			i := mustInstance(t, cfg)
			places, judged := i.plan([]*k8s.Pod{pod})
			if len(judged) == 0 {
				t.Fatal("no verdict")
			}
			for _, p := range places {
				target := i.target(p)
				u, err := url.Parse(target.URL)
				if err != nil {
					t.Fatalf("%q: %v", target.URL, err)
				}
				addr, err := netip.ParseAddrPort(u.Host)
				if err != nil || addr.Addr() != netip.MustParseAddr("10.0.0.1") || addr.Port() == 0 ||
					u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.Fragment != "" {
					t.Errorf("%q, %q, %q: %s", port, path, scheme, target.URL)
				}
				if strings.ContainsAny(target.URL, "\r\n \t") {
					t.Errorf("%q", target.URL)
				}
			}
		}
	})
}

func TestPortList(t *testing.T) {
	for text, want := range map[string]string{
		"1,2": "[1 2] true", " 1 , 2 ": "[1 2] true", "65535": "[65535] true", "65536": "[] false", "": "[] false", ",": "[] false",
		"1;2": "[] false", "+1": "[] false", "1e3": "[] false", "00080": "[80] true", "18446744073709551617": "[] false",
	} {
		ports, ok := portList(text)
		if got := fmt.Sprint(ports, " ", ok); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}
