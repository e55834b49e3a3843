package proxy

import (
	"bytes"
	"io"
	"sync"
	"sync/atomic"
)

// heldBytes is how much of a request's body is held, so that it can be sent again.
const heldBytes = 64 << 10

// body is a request's body that can be sent again from its beginning, as long as no
// more than heldBytes were read.
type body struct {
	mu     sync.Mutex
	source io.ReadCloser
	held   bytes.Buffer
	// lost says that more was read than is held.
	lost bool
	// err is how the source ended.
	err error
}

// again is a reader of the body from its beginning; false when it is lost. A former
// reader must not be read any more.
func (b *body) again() (io.ReadCloser, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return &bodyReader{body: b}, !b.lost
}

// replayable says whether again would succeed.
func (b *body) replayable() bool {
	if b == nil {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.lost
}

// bodyReader reads the body once. It leaves the source open: the server that it
// belongs to closes it.
type bodyReader struct {
	body   *body
	at     int
	closed atomic.Bool
}

func (r *bodyReader) Read(p []byte) (int, error) {
	b := r.body
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case r.closed.Load():
		return 0, io.ErrClosedPipe
	case !b.lost && r.at < b.held.Len():
		n := copy(p, b.held.Bytes()[r.at:])
		r.at += n
		return n, nil
	case b.err != nil:
		return 0, b.err
	}
	n, err := b.source.Read(p)
	if b.err = err; !b.lost && b.held.Len()+n <= heldBytes {
		b.held.Write(p[:n])
		r.at += n
		return n, err
	}
	if n > 0 {
		b.lost = true
		b.held = bytes.Buffer{}
	}
	return n, err
}

func (r *bodyReader) Close() error {
	r.closed.Store(true) // a read that waits for the caller goes on, for the next reader
	return nil
}
