package proxy

import (
	"log/slog"
	"net"
	"net/http"
	"time"
)

// logged notes what was answered.
type logged struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (l *logged) WriteHeader(status int) {
	if l.status == 0 || l.status < 200 {
		l.status = status
	}
	l.ResponseWriter.WriteHeader(status)
}

func (l *logged) Write(p []byte) (int, error) {
	if l.status == 0 {
		l.status = http.StatusOK
	}
	n, err := l.ResponseWriter.Write(p)
	l.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController find what the writer can do.
func (l *logged) Unwrap() http.ResponseWriter { return l.ResponseWriter }

// logAccess writes a line for a request. Queries are left out: they may hold secrets.
func logAccess(log *slog.Logger, listener string, r *http.Request, l *logged, began time.Time) {
	log.Info("request", "listener", listener, "client", r.RemoteAddr, "method", r.Method, "host", r.Host, "path", r.URL.Path, "proto", r.Proto,
		"status", l.status, "bytes", l.bytes, "seconds", time.Since(began).Seconds(), "error", l.Header().Get(ErrorHeader), "trace", r.Header.Get(traceHeader))
}

// logConnection writes a line for a connection that was passed through, or was not.
func (p *Proxy) logConnection(listener string, client net.Conn, endpoint string, in, out int64, began time.Time, trouble string) {
	if log := p.options.AccessLog; log != nil {
		log.Info("connection", "listener", listener, "client", client.RemoteAddr().String(), "endpoint", endpoint, "in", in, "out", out,
			"seconds", time.Since(began).Seconds(), "error", trouble)
	}
}
