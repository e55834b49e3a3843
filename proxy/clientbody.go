package proxy

import (
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
)

// clientBody is the body of a request as it comes from the client. It knows whether the
// client is why a try failed.
type clientBody struct {
	io.ReadCloser
	// trouble is what the client's part ended with, but for its end.
	trouble atomic.Pointer[error]
	// awaited says that somebody waits for the client.
	awaited atomic.Bool
}

// sendable has the request's body be a clientBody; nil where it has none.
func sendable(request *http.Request) *clientBody {
	if request.Body == nil || request.Body == http.NoBody {
		return nil
	}
	b := &clientBody{ReadCloser: request.Body}
	request.Body = b
	return b
}

// Read implements io.Reader.
func (b *clientBody) Read(p []byte) (int, error) {
	b.awaited.Store(true)
	n, err := b.ReadCloser.Read(p)
	// What is read after its end is read by nobody who waits for the client.
	if err != nil && err != io.EOF && !errors.Is(err, http.ErrBodyReadAfterClose) {
		b.trouble.CompareAndSwap(nil, &err)
		return n, err // it is awaited for ever
	}
	b.awaited.Store(false)
	return n, err
}

// failed says whether the client did not send what it had begun.
func (b *clientBody) failed() bool { return b != nil && b.trouble.Load() != nil }

// explain names the client as the reason of a try that failed with err, where it is.
func (b *clientBody) explain(err error) error {
	if b == nil || kindOf(err) == clientGone {
		return err
	}
	trouble := b.trouble.Load()
	if trouble == nil {
		if kindOf(err) == timedOut && b.awaited.Load() {
			return &problem{tooSlow, err}
		}
		return err
	}
	var timeout net.Error
	switch k := kindOf(*trouble); {
	case k.ofClient():
		return &problem{k, *trouble}
	case errors.As(*trouble, &timeout) && timeout.Timeout():
		return &problem{tooSlow, *trouble}
	}
	return &problem{malformed, *trouble}
}
