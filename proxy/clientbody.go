package proxy

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
)

// clientBody is the body of a request that is passed on. It knows whether the client is
// why a try failed.
type clientBody struct {
	io.ReadCloser
	// prompt is the same body where it comes from the client; nil where it was read before.
	prompt *promptBody
	// trouble is what the client's part ended with, but for its end.
	trouble atomic.Pointer[error]
	// awaited says that somebody waits for the client, and closed that nobody should.
	awaited, closed atomic.Bool
	// reading is held by who reads.
	reading sync.Mutex
}

// Read implements io.Reader.
func (b *clientBody) Read(p []byte) (int, error) {
	b.reading.Lock()
	defer b.reading.Unlock()
	closed := b.closed.Load() // what fails then is nobody's fault; a read that waits still tells
	b.awaited.Store(true)
	n, err := b.ReadCloser.Read(p)
	b.awaited.Store(false)
	if err != nil && err != io.EOF && !closed {
		b.trouble.CompareAndSwap(nil, &err)
	}
	return n, err
}

// Close implements io.Closer.
func (b *clientBody) Close() error {
	b.closed.Store(true)
	return b.ReadCloser.Close()
}

// abandon ends the time of the client, when it is who is waited for.
func (b *clientBody) abandon() {
	if b == nil || !b.awaited.Load() {
		return
	}
	late := error(&problem{kind: tooSlow})
	b.trouble.CompareAndSwap(nil, &late)
	// Whoever sends the request waits for this read, whatever becomes of the request.
	if b.prompt != nil {
		b.prompt.interrupt()
	}
}

// moved notes that the answer goes on.
func (b *clientBody) moved() {
	if b != nil && b.prompt != nil && b.awaited.Load() {
		b.prompt.moved()
	}
}

// failed says whether the client did not send what it had begun.
func (b *clientBody) failed() bool { return b != nil && b.trouble.Load() != nil }

// settled is the trouble once nobody reads.
func (b *clientBody) settled() *error {
	b.reading.Lock()
	defer b.reading.Unlock()
	return b.trouble.Load()
}

// explain names the client as the reason of a try that failed with err, where it is.
func (b *clientBody) explain(err error) error {
	if b == nil {
		return err
	}
	trouble := b.trouble.Load()
	if kindOf(err) == clientGone {
		// The server ends a request whose body it cannot read before the read says why.
		trouble = b.settled()
	}
	if trouble == nil {
		return err
	}
	var timeout net.Error
	switch k := kindOf(*trouble); {
	case k == tooLarge, k == tooSlow:
		return &problem{k, *trouble}
	case errors.As(*trouble, &timeout) && timeout.Timeout():
		return &problem{tooSlow, *trouble}
	}
	return &problem{malformed, *trouble}
}
