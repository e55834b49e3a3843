package proxy

import (
	"bytes"
	"io"
	"sync"
)

// heldBytes is how much of a request's body is held, so that it can be sent again.
const heldBytes = 64 << 10

// body is a request's body that can be sent again from its beginning, as long as no
// more than heldBytes were read.
type body struct {
	source io.ReadCloser
	// reading is held by who waits for the source, which may take long.
	reading sync.Mutex

	// mu guards what follows.
	mu sync.Mutex
	// reader is who may read.
	reader *bodyReader
	held   bytes.Buffer
	// lost says that more was read than is held.
	lost bool
	// err is how the source ended.
	err error
}

// again is a reader of the body from its beginning; false when it is lost. A former
// reader gets no more.
func (b *body) again() (io.ReadCloser, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reader = &bodyReader{body: b}
	return b.reader, !b.lost
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

// rewind takes the body from its reader, so that again is sure to succeed; false when
// it would not.
func (b *body) rewind() bool {
	if b == nil {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.lost {
		b.reader = nil
	}
	return !b.lost
}

// bodyReader reads the body once. It leaves the source open: the server that it
// belongs to closes it.
type bodyReader struct {
	body *body
	at   int
}

func (r *bodyReader) Read(p []byte) (int, error) {
	b := r.body
	b.reading.Lock()
	defer b.reading.Unlock()
	if n, err, known := r.recall(p); known {
		return n, err
	}
	n, err := b.source.Read(p)
	return n, r.remember(p[:n], err)
}

// recall reads what is known without the source.
func (r *bodyReader) recall(p []byte) (n int, err error, known bool) {
	b := r.body
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.reader != r:
		return 0, io.ErrClosedPipe, true
	case !b.lost && r.at < b.held.Len():
		n := copy(p, b.held.Bytes()[r.at:])
		r.at += n
		return n, nil, true
	}
	return 0, b.err, b.err != nil
}

// remember notes what came from the source. What came when nobody wanted it any more is
// for the next reader, however much is held.
func (r *bodyReader) remember(read []byte, err error) error {
	b := r.body
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err = err
	switch {
	case len(read) == 0:
	case !b.lost && (b.reader != r || b.held.Len()+len(read) <= heldBytes):
		b.held.Write(read)
		r.at += len(read)
	default:
		b.lost = true
		b.held = bytes.Buffer{}
	}
	return err
}

func (r *bodyReader) Close() error {
	r.body.mu.Lock()
	defer r.body.mu.Unlock()
	if r.body.reader == r {
		r.body.reader = nil // a read that waits for the caller goes on, for the next reader
	}
	return nil
}
