package proxy

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// past is a time that has gone by for certain.
var past = time.Unix(1, 0)

// promptBody is a request's body of which the client must send something in time, while
// it is waited for; with 0 it has as much as it wants.
type promptBody struct {
	io.ReadCloser
	controller *http.ResponseController
	idle       time.Duration
	// always says that a deadline counts also while nobody reads, as with HTTP/2.
	always bool

	// mu guards what follows, and that nothing is asked of the controller once the request
	// is done: who passes the body on may outlive it.
	mu sync.Mutex
	// waiting says that the client is waited for, over that it is no more, and done that
	// the request is.
	waiting, over, done bool
}

func newPromptBody(w http.ResponseWriter, r *http.Request, idle time.Duration) *promptBody {
	p := &promptBody{ReadCloser: r.Body, controller: http.NewResponseController(w), idle: idle, always: r.ProtoMajor > 1}
	if !p.always {
		p.bound() // the server reads too, to be done with the request
	}
	return p
}

// Read implements io.Reader.
func (p *promptBody) Read(b []byte) (int, error) {
	p.mu.Lock()
	p.waiting = true
	p.bound()
	p.mu.Unlock()
	n, err := p.ReadCloser.Read(b)
	p.mu.Lock()
	defer p.mu.Unlock()
	// After the end, the server reads to see whether the client is still there.
	if p.waiting = false; p.idle > 0 && !p.done && (p.always || err == io.EOF) {
		_ = p.controller.SetReadDeadline(time.Time{})
	}
	return n, err
}

// bound lets the client's time begin.
func (p *promptBody) bound() {
	if p.idle > 0 && !p.over && !p.done {
		_ = p.controller.SetReadDeadline(time.Now().Add(p.idle))
	}
}

// moved gives a client that is waited for its time anew, since the answer goes on.
func (p *promptBody) moved() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting {
		p.bound()
	}
}

// interrupt ends a read that waits for the client, and lets none begin.
func (p *promptBody) interrupt() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over = true; !p.done {
		_ = p.controller.SetReadDeadline(past)
	}
}

// finish is the end of the request.
func (p *promptBody) finish() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done = true
}

// promptWriter is an answer over HTTP/2, of which the client must take what is written,
// 32 KiB at most at a time, in time. A stream may stand still on a connection that moves.
type promptWriter struct {
	http.ResponseWriter
	controller *http.ResponseController
	idle       time.Duration
	timer      *time.Timer

	// mu guards done, as in promptBody.
	mu   sync.Mutex
	done bool
}

func newPromptWriter(w http.ResponseWriter, idle time.Duration) *promptWriter {
	p := &promptWriter{ResponseWriter: w, controller: http.NewResponseController(w), idle: idle}
	p.timer = time.AfterFunc(idle, p.giveUp)
	p.timer.Stop()
	return p
}

// Write implements io.Writer.
func (p *promptWriter) Write(b []byte) (int, error) {
	p.timer.Reset(p.idle)
	defer p.timer.Stop()
	return p.ResponseWriter.Write(b)
}

// FlushError is what http.ResponseController looks for.
func (p *promptWriter) FlushError() error {
	p.timer.Reset(p.idle)
	defer p.timer.Stop()
	return p.controller.Flush()
}

// Unwrap lets http.ResponseController find what else the writer can do.
func (p *promptWriter) Unwrap() http.ResponseWriter { return p.ResponseWriter }

func (p *promptWriter) giveUp() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.done {
		_ = p.controller.SetWriteDeadline(past)
	}
}

// finish is the end of the request; what is still to be written then has its time too.
func (p *promptWriter) finish() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done = true
	_ = p.controller.SetWriteDeadline(time.Now().Add(p.idle))
}

// promptConnection is a connection of which the client must take something in time, once
// there is something to take.
type promptConnection struct {
	net.Conn
	idle time.Duration
}

// Write implements io.Writer.
func (p *promptConnection) Write(b []byte) (written int, err error) {
	for {
		_ = p.Conn.SetWriteDeadline(time.Now().Add(p.idle))
		n, err := p.Conn.Write(b[written:])
		written += n
		if n == 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return written, err
		}
	}
}

// CloseWrite lets the client read to the end before the connection is closed.
func (p *promptConnection) CloseWrite() error {
	if half, ok := p.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
