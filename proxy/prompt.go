package proxy

import (
	"io"
	"net"
	"net/http"
	"time"
)

// promptBody is a request's body of which the client must send something in time; with 0
// it has as much as it wants.
type promptBody struct {
	io.ReadCloser
	controller *http.ResponseController
	idle       time.Duration
}

// Read implements io.Reader.
func (p *promptBody) Read(b []byte) (int, error) {
	if p.idle > 0 {
		_ = p.controller.SetReadDeadline(time.Now().Add(p.idle))
	}
	n, err := p.ReadCloser.Read(b)
	if err == io.EOF && p.idle > 0 {
		// From now on the server reads to see whether the client is still there.
		_ = p.controller.SetReadDeadline(time.Time{})
	}
	return n, err
}

// interrupt ends a read that waits for the client.
func (p *promptBody) interrupt() { _ = p.controller.SetReadDeadline(time.Now()) }

// promptConnection is a connection of which the client must take something in time, once
// there is something to take.
type promptConnection struct {
	net.Conn
	idle time.Duration
}

// Write implements io.Writer.
func (p *promptConnection) Write(b []byte) (int, error) {
	_ = p.Conn.SetWriteDeadline(time.Now().Add(p.idle))
	return p.Conn.Write(b)
}

// CloseWrite lets the client read to the end before the connection is closed.
func (p *promptConnection) CloseWrite() error {
	if half, ok := p.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
