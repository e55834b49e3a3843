package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"windlass/schemas/traffic"
)

// listener is one port. What it does with connections may change at any time; those
// that are open go on as they began.
type listener struct {
	proxy    *Proxy
	protocol traffic.Protocol
	socket   net.Listener

	// does is what new connections and requests meet.
	does atomic.Pointer[duty]
	// connections are those of clients that are open.
	connections atomic.Int64
	// freed tells that one has ended.
	freed chan struct{}

	mu      sync.Mutex
	servers []*server
}

// duty is what a listener does.
type duty struct {
	declared traffic.Listener
	tls      *tls.Config
	table    *table
	service  *service // of TCP
	server   *server  // of HTTP
}

// server is an http.Server with what decides that another one is needed.
type server struct {
	*http.Server
	settings serverSettings
	incoming *incoming
}

type serverSettings struct {
	maxHeaderBytes    int
	readHeaderTimeout time.Duration
	idleTimeout       time.Duration
	bodyIdleTimeout   time.Duration
}

func newListener(p *Proxy, declared traffic.Listener, socket net.Listener) *listener {
	return &listener{proxy: p, protocol: declared.Protocol, socket: socket, freed: make(chan struct{}, 1)}
}

// configure exchanges what the listener does.
func (l *listener) configure(declared traffic.Listener, secure *tls.Config, services map[string]*service) {
	next := &duty{declared: declared, tls: secure}
	if declared.Protocol == traffic.TCP {
		next.service = services[declared.Service]
		l.does.Store(next)
		return
	}
	next.table = &table{}
	idle := defaultIdleTimeout
	if declared.Service != "" {
		next.table.otherwise = newForwarder(l.proxy, declared.Name, services[declared.Service], "")
		idle = duration(services[declared.Service].policy.Timeout.IdleTimeout)
	}
	for _, r := range declared.Routes {
		next.table.routes = append(next.table.routes, route{r, newForwarder(l.proxy, declared.Name, services[r.Service], r.Subset)})
	}
	bodyIdle := longestBodyIdle(declared, services)
	next.server = l.serverOf(serverSettings{declared.MaxHeaderBytes, duration(declared.ReadHeaderTimeout), idle, bodyIdle})
	l.does.Store(next)
}

// defaultIdleTimeout is what a client may be idle for at a listener without a service.
const defaultIdleTimeout = time.Minute

// longestBodyIdle is what the services of a listener bound a client by at the longest; 0
// is no bound. Without any it is the default.
func longestBodyIdle(declared traffic.Listener, services map[string]*service) time.Duration {
	longest := time.Duration(0)
	names := []string{declared.Service}
	for _, r := range declared.Routes {
		names = append(names, r.Service)
	}
	for _, name := range names {
		if s := services[name]; s != nil {
			idle := duration(s.policy.Timeout.BodyIdleTimeout)
			if idle == 0 {
				return 0
			}
			longest = max(longest, idle)
		}
	}
	if longest == 0 {
		return defaultIdleTimeout
	}
	return longest
}

// serverOf is the server with these settings. Connections of a former one stay there.
func (l *listener) serverOf(settings serverSettings) *server {
	if now := l.does.Load(); now != nil && now.server.settings == settings {
		return now.server
	}
	protocols := &http.Protocols{}
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	s := &server{settings: settings, incoming: newIncoming(l.socket.Addr()), Server: &http.Server{
		Handler:           http.HandlerFunc(l.serve),
		Protocols:         protocols,
		MaxHeaderBytes:    settings.maxHeaderBytes,
		ReadHeaderTimeout: settings.readHeaderTimeout,
		IdleTimeout:       settings.idleTimeout,
		ErrorLog:          slog.NewLogLogger(l.proxy.options.Logger.Handler(), slog.LevelDebug),
		ConnState: func(_ net.Conn, state http.ConnState) {
			if state == http.StateClosed || state == http.StateHijacked {
				l.gone()
			}
		},
	}}
	l.mu.Lock()
	l.servers = append(l.servers, s)
	l.mu.Unlock()
	go func() { _ = s.Serve(s.incoming) }() // it ends with Shutdown
	return s
}

// accept takes connections until the socket is closed.
func (l *listener) accept() {
	for {
		l.waitForRoom()
		connection, err := l.socket.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			// As a rule there are too many files open.
			l.proxy.options.Logger.Error("a connection cannot be taken", "listener", l.does.Load().declared.Name, "error", err)
			time.Sleep(acceptDelay)
			continue
		}
		l.connections.Add(1)
		l.deliver(connection)
	}
}

// acceptDelay is how long a listener rests that cannot take a connection.
const acceptDelay = 50 * time.Millisecond

// waitForRoom waits while there are as many connections as there may be. Others wait
// in the kernel meanwhile.
func (l *listener) waitForRoom() {
	for {
		most := l.does.Load().declared.MaxConnections
		if most == 0 || l.connections.Load() < int64(most) {
			return
		}
		select {
		case <-l.freed:
		case <-time.After(time.Second): // the bound may have changed
		}
	}
}

func (l *listener) gone() {
	l.connections.Add(-1)
	select {
	case l.freed <- struct{}{}:
	default:
	}
}

func (l *listener) deliver(connection net.Conn) {
	does := l.does.Load()
	if does.server != nil && does.server.settings.bodyIdleTimeout > 0 {
		connection = &promptConnection{connection, does.server.settings.bodyIdleTimeout}
	}
	if does.tls != nil {
		connection = tls.Server(connection, does.tls)
	}
	if does.service != nil {
		go func() {
			defer l.gone()
			l.proxy.passThrough(context.Background(), does.declared.Name, connection, does.service)
		}()
		return
	}
	if !does.server.incoming.put(connection) {
		_ = connection.Close()
		l.gone()
	}
}

// serve answers a request.
func (l *listener) serve(w http.ResponseWriter, r *http.Request) {
	does := l.does.Load()
	if l.proxy.closing.Load() && r.ProtoMajor == 1 {
		w.Header().Set("Connection", "close")
	}
	trace(r.Header)
	if log := l.proxy.options.AccessLog; log != nil {
		noted := &logged{ResponseWriter: w}
		defer logAccess(log, does.declared.Name, r, noted, time.Now())
		w = noted
	}
	handler := does.table.find(r)
	if handler == nil {
		if idle := does.server.settings.bodyIdleTimeout; idle > 0 && r.Body != http.NoBody {
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(idle)) // the server reads it
		}
		tell(w, noRoute)
		return
	}
	handler.ServeHTTP(w, r)
}

// retire closes the port and lets what is in flight end.
func (l *listener) retire() {
	ctx, cancel := context.WithTimeout(context.Background(), defaultDrainTimeout)
	defer cancel()
	_ = l.stop(ctx)
}

// stop takes no more connections, and returns when those that are open have ended.
// At the end of the context they are closed.
func (l *listener) stop(ctx context.Context) error {
	l.mu.Lock()
	servers := l.servers
	l.mu.Unlock()
	_ = l.socket.Close()
	var err error
	for _, s := range servers {
		if failed := s.Shutdown(ctx); failed != nil {
			err = failed
			_ = s.Close()
		}
	}
	return err
}

// incoming hands connections to an http.Server.
type incoming struct {
	address     net.Addr
	connections chan net.Conn
	done        chan struct{}
	once        sync.Once
}

func newIncoming(address net.Addr) *incoming {
	return &incoming{address: address, connections: make(chan net.Conn), done: make(chan struct{})}
}

func (i *incoming) put(c net.Conn) bool {
	select {
	case i.connections <- c:
		return true
	case <-i.done:
		return false
	}
}

// Accept implements net.Listener.
func (i *incoming) Accept() (net.Conn, error) {
	select {
	case c := <-i.connections:
		return c, nil
	case <-i.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (i *incoming) Close() error {
	i.once.Do(func() { close(i.done) })
	return nil
}

// Addr implements net.Listener.
func (i *incoming) Addr() net.Addr { return i.address }
