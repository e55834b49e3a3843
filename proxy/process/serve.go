package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"windlass/proxy"
	"windlass/proxy/admin"
	"windlass/proxy/handover"
)

// headerTimeout is how long a caller of the admin API or the metrics has to ask.
const headerTimeout = 10 * time.Second

// serving is the serving process.
type serving struct {
	Settings
	guest *handover.Guest
	store store
	proxy *proxy.Proxy
}

// serve serves until ctx ends or the supervisor is gone, and returns when what was in
// flight then is done. With strict it fails where the last good configuration cannot
// be applied; otherwise it waits for another one.
func serve(ctx context.Context, s Settings, version string, strict bool) error {
	guest, err := handover.NewGuest(os.NewFile(handoverDescriptor, "handover"))
	if err != nil {
		return fmt.Errorf("%w; this command is for the supervisor alone, see windlass-proxy run", err)
	}
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	go func() {
		_, _ = io.Copy(io.Discard, os.NewFile(supervisorDescriptor, "supervisor"))
		leave()
	}()
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	o := proxy.Options{Logger: s.Logger, Registry: registry, Listen: guest.Listen}
	if s.AccessLog {
		o.AccessLog = slog.New(slog.NewJSONHandler(os.Stdout, nil))
	}
	p := &serving{Settings: s, guest: guest, store: store{s.State}, proxy: proxy.New(o)}
	if err := p.restore(ctx); err != nil {
		if strict {
			return err
		}
		s.Logger.Error("the last configuration is not applied; waiting for another one", "error", err)
	}
	api := admin.NewServer(p.proxy, admin.Options{Store: p.store.keepConfiguration, Upgrade: guest.Upgrade, Version: version, Others: p.others})
	own, err := p.follow(ctx, api.Follower())
	if err != nil {
		return err
	}
	defer func() { _ = own.Close() }()
	servers, err := p.listen(ctx, api.Handler(), promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	if err != nil {
		return err
	}
	if err := guest.Ready(); err != nil {
		return err
	}
	<-ctx.Done()
	return p.end(context.WithoutCancel(ctx), servers)
}

// restore does again what was configured last.
func (p *serving) restore(ctx context.Context) error {
	c, ok, err := p.store.configuration()
	if err != nil || !ok {
		return err
	}
	return p.proxy.Apply(ctx, c)
}

// listen serves the admin API and the metrics.
func (p *serving) listen(ctx context.Context, api, metrics http.Handler) ([]*http.Server, error) {
	handlers := map[string]http.Handler{"unix:" + p.Socket: api}
	if p.Metrics != "" {
		mux := http.NewServeMux()
		mux.Handle("GET /metrics", metrics)
		handlers[p.Metrics] = mux
	}
	var servers []*http.Server
	for address, handler := range handlers {
		listener, err := p.guest.Listen(ctx, address)
		if err != nil {
			return nil, fmt.Errorf("listen on %s: %w", address, err)
		}
		server := &http.Server{Handler: handler, ReadHeaderTimeout: headerTimeout, BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) }}
		go func() { _ = server.Serve(listener) }() // it ends with Shutdown, or with the process
		servers = append(servers, server)
	}
	return servers, nil
}

// ownSocket is where a process goes on to listen to its successor.
func (p *serving) ownSocket() string { return p.Socket + "." + strconv.Itoa(os.Getpid()) }

// follow serves what a successor asks, also while the process finishes what it has.
func (p *serving) follow(ctx context.Context, follower http.Handler) (io.Closer, error) {
	_ = os.Remove(p.ownSocket()) // of a process that had the number before
	listener, err := (&net.ListenConfig{}).Listen(ctx, "unix", p.ownSocket())
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", p.ownSocket(), err)
	}
	server := &http.Server{Handler: follower, ReadHeaderTimeout: headerTimeout}
	go func() { _ = server.Serve(listener) }() // it ends with Close
	return server, nil
}

// others are the other processes, of which some may have ended.
func (p *serving) others() []*admin.Client {
	paths, _ := filepath.Glob(p.Socket + ".*") // the pattern is well formed
	var clients []*admin.Client
	for _, path := range paths {
		if path != p.ownSocket() {
			clients = append(clients, admin.NewClient(path))
		}
	}
	return clients
}

// end takes no more connections, and finishes what it has.
func (p *serving) end(ctx context.Context, servers []*http.Server) error {
	p.guest.Leave()
	ctx, cancel := context.WithTimeout(ctx, p.DrainTimeout)
	defer cancel()
	finished := make(chan error, len(servers))
	for _, server := range servers {
		go func() { finished <- server.Shutdown(ctx) }()
	}
	err := p.proxy.Shutdown(ctx)
	for range servers {
		err = errors.Join(err, <-finished)
	}
	return err
}
