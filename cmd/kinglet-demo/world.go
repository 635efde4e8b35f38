package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// world is what is around the agent: the targets that it scrapes and the
// database that it writes to, all on loopback.
type world struct {
	database string   // base URL
	agent    string   // host:port that the agent is to listen on
	targets  []target // in the order in which they are shown
	servers  []*http.Server
	serving  sync.WaitGroup
}

// target is one page that the agent scrapes.
type target struct {
	job, url string
	extra    string // more lines of its [[instances]] table
}

// serveWorld starts the database's API and the recorded pages.
func serveWorld(s *store, o options, at time.Time) (_ *world, err error) {
	w := &world{}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.Close())
		}
	}()
	if w.database, err = w.serve(o.port, !o.fixed, s.api()); err != nil {
		return nil, fmt.Errorf("listen for the database: %w; choose another -port", err)
	}
	pages := map[string]*page{}
	for _, name := range []string{"kube-proxy", "kubelet", "kubelet-cadvisor"} {
		if pages[name], err = loadPage(name, at); err != nil {
			return nil, err
		}
	}
	proxy := http.NewServeMux()
	proxy.Handle("GET /metrics", pages["kube-proxy"])
	proxyURL, err := w.serve(19249, true, proxy)
	if err != nil {
		return nil, fmt.Errorf("serve the kube-proxy page: %w", err)
	}
	kubelet := http.NewServeMux()
	kubelet.Handle("GET /metrics", pages["kubelet"])
	kubelet.Handle("GET /metrics/cadvisor", pages["kubelet-cadvisor"])
	kubeletURL, err := w.serve(19250, true, kubelet)
	if err != nil {
		return nil, fmt.Errorf("serve the kubelet's pages: %w", err)
	}
	if w.agent, err = freeAddress(9559); err != nil {
		return nil, fmt.Errorf("find a port for kinglet: %w", err)
	}
	w.targets = []target{
		{job: "kube-proxy", url: proxyURL + "/metrics"},
		{job: "kubelet", url: kubeletURL + "/metrics"},
		{job: "cadvisor", url: kubeletURL + "/metrics/cadvisor", extra: "honor_timestamps = false"},
		{job: "kinglet", url: "http://" + w.agent + "/metrics"},
	}
	return w, nil
}

// serve answers on 127.0.0.1 and returns the base URL. If the port is in use,
// any other does when that is allowed.
func (w *world) serve(port int, anyPort bool, h http.Handler) (string, error) {
	l, err := listen(port, anyPort)
	if err != nil {
		return "", err
	}
	server := &http.Server{
		Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second,
		WriteTimeout: time.Minute, IdleTimeout: time.Minute,
	}
	w.servers = append(w.servers, server)
	w.serving.Go(func() { _ = server.Serve(l) }) // always ErrServerClosed, after Close
	return "http://" + l.Addr().String(), nil
}

// Close ends every server and waits for it.
func (w *world) Close() error {
	// The answers that still run must outlive the context that has ended.
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	var faults []error
	for _, server := range w.servers {
		if err := server.Shutdown(ctx); err != nil {
			faults = append(faults, server.Close())
		}
	}
	w.serving.Wait()
	return errors.Join(faults...)
}

func listen(port int, anyPort bool) (net.Listener, error) {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil && anyPort && errors.Is(err, syscall.EADDRINUSE) {
		return net.Listen("tcp", "127.0.0.1:0")
	}
	return l, err
}

// freeAddress is an address on which another process can listen next.
func freeAddress(port int) (string, error) {
	l, err := listen(port, true)
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// writeConf writes the configuration tree of the agent to dir.
func writeConf(dir string, w *world, interval time.Duration) error {
	files := map[string]string{"config.toml": fmt.Sprintf(`[global]
hostname = "$hostname"
interval = "%v"

[log]
file_name = "stderr"

[serve]
listen = "%s"

[writer_opt]
batch = 2000
chan_size = 10000

[[writers]]
url = "%s/api/v1/write"
timeout = 5000
dial_timeout = 2500
`, interval, w.agent, w.database)}
	for _, t := range w.targets {
		files[filepath.Join("input.prometheus", t.job+".toml")] = fmt.Sprintf(`[[instances]]
urls = ["%s"]
labels = { job = "%s" }
%s
`, t.url, t.job, t.extra)
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return fmt.Errorf("write kinglet's configuration: %w", err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return fmt.Errorf("write kinglet's configuration: %w", err)
		}
	}
	return nil
}
