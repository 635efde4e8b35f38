// Command sample is what pods of the cluster tests run: it serves a page of
// metrics that tells a lost scrape from one that never was.
//
//	sample -listen :8080                               /metrics over HTTP
//	sample -listen :8080,:8081 -page '/stats?format=x' the same on two ports, at a path with a query
//	sample -tls-cert FILE -tls-key FILE                over HTTPS
//	sample -exit                                       ends at once: a pod that has finished
//
// sample_scrapes_total is how often the page was asked for on this port, this
// time included: where every scrape arrives, it is 1, 2, 3, and so on.
// sample_boot_id is a number of this process alone. /healthz answers on every
// port and counts nothing.
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	addresses []string
	page      *url.URL
	cert, key string // files; "" is plain HTTP
	series    int    // more series on the page
	exit      bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	o, err := parse(os.Args[1:])
	if err == nil && !o.exit {
		err = serve(ctx, o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "sample:", err)
		os.Exit(1)
	}
}

func parse(args []string) (options, error) {
	flags := flag.NewFlagSet("sample", flag.ContinueOnError)
	listen := flags.String("listen", ":8080", "addresses to serve on, separated by commas")
	page := flags.String("page", "/metrics", "where the page is; a query in it must be asked for")
	cert := flags.String("tls-cert", "", "certificate, PEM; with it the page is served over HTTPS")
	key := flags.String("tls-key", "", "its key, PEM")
	series := flags.Int("series", 0, "how many more series the page has")
	exit := flags.Bool("exit", false, "end at once")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	where, err := url.ParseRequestURI(*page)
	return options{strings.Split(*listen, ","), where, *cert, *key, *series, *exit}, err
}

// serve answers on every address until asked ends.
func serve(asked context.Context, o options) error {
	ctx, cancel := context.WithCancelCause(asked)
	defer cancel(nil)
	boot := rand.Uint32()
	var servers sync.WaitGroup
	defer servers.Wait()
	for _, address := range o.addresses {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			cancel(err)
			break
		}
		server := &http.Server{Handler: handler(o, boot), ReadHeaderTimeout: 5 * time.Second}
		context.AfterFunc(ctx, func() { _ = server.Close() }) // what is served just then is lost with the pod
		servers.Go(func() {
			if o.cert != "" {
				cancel(server.ServeTLS(listener, o.cert, o.key))
			} else {
				cancel(server.Serve(listener))
			}
		})
		fmt.Println("sample: serving", o.page, "on", listener.Addr())
	}
	<-ctx.Done()
	if asked.Err() != nil {
		return nil
	}
	return context.Cause(ctx)
}

// handler serves the page of one port.
func handler(o options, boot uint32) http.Handler {
	var scrapes atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET "+o.page.Path, func(w http.ResponseWriter, r *http.Request) {
		if !reflect.DeepEqual(r.URL.Query(), o.page.Query()) {
			http.Error(w, "the page is at "+o.page.String(), http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		fmt.Fprintf(w, "# HELP sample_scrapes_total Times this page was asked for, this time included.\n# TYPE sample_scrapes_total counter\nsample_scrapes_total %d\n", scrapes.Add(1))
		fmt.Fprintf(w, "# HELP sample_boot_id A number of this process alone.\n# TYPE sample_boot_id gauge\nsample_boot_id %d\n", boot)
		if o.series > 0 {
			fmt.Fprint(w, "# HELP sample_filler Nothing.\n# TYPE sample_filler gauge\n")
		}
		for i := range o.series {
			fmt.Fprintf(w, "sample_filler{number=\"%d\"} %d\n", i, time.Now().Unix()%int64(i+2))
		}
	})
	return mux
}
