package proxy

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"time"
)

const (
	// mirrorTimeout bounds a copy, and mirrorParallelism how many are under way.
	mirrorTimeout     = 30 * time.Second
	mirrorParallelism = 64
)

// mirror sends copies of requests to another service. What comes back is thrown away.
type mirror struct {
	share float64
	// to is set when all services are known.
	to    *passage
	slots chan struct{}
}

func newMirror(share float64) *mirror {
	return &mirror{share: share, slots: make(chan struct{}, mirrorParallelism)}
}

// mirrored is a passage of which copies of requests go elsewhere too.
type mirrored struct{ *passage }

// RoundTrip implements http.RoundTripper.
func (m mirrored) RoundTrip(r *http.Request) (*http.Response, error) {
	m.service.mirror.copy(r)
	return m.passage.RoundTrip(r)
}

// copy sends a copy of a request that is passed on and whose body is small, where there
// is room.
func (m *mirror) copy(r *http.Request) {
	if m == nil || rand.Float64() >= m.share || r.ContentLength < 0 || r.ContentLength > heldBytes || r.Header.Get("Upgrade") != "" {
		return
	}
	select {
	case m.slots <- struct{}{}:
	default:
		return
	}
	text, ok := read(r)
	if !ok {
		<-m.slots
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), mirrorTimeout)
	duplicate := r.Clone(ctx)
	duplicate.Body = io.NopCloser(bytes.NewReader(text))
	go func() {
		defer func() { cancel(); <-m.slots }()
		response, err := m.to.RoundTrip(duplicate)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
	}()
}

// read returns the body of a request, which can be read once more after it; false where
// it is not whole.
func read(r *http.Request) (text []byte, ok bool) {
	body, ok := r.Body.(*clientBody)
	if !ok {
		return nil, r.ContentLength == 0
	}
	text, err := io.ReadAll(io.LimitReader(body, heldBytes))
	body.ReadCloser = readCloser{io.MultiReader(bytes.NewReader(text), body.ReadCloser), body.ReadCloser}
	return text, err == nil && int64(len(text)) == r.ContentLength
}

type readCloser struct {
	io.Reader
	io.Closer
}
