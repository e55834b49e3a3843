// Command bare is net/http/httputil.ReverseProxy over two backends and nothing else:
// what the benchmark of the proxy is measured against.
package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"sync/atomic"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: bare ADDRESS BACKEND BACKEND")
		os.Exit(2)
	}
	var next atomic.Uint64
	backends := os.Args[2:]
	handler := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: backends[next.Add(1)%uint64(len(backends))]})
		},
		Transport: &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true},
		ErrorLog:  log.New(io.Discard, "", 0), // clients that end their connections at the end of a turn
	}
	fmt.Fprintln(os.Stderr, http.ListenAndServe(os.Args[1], handler))
	os.Exit(1)
}
