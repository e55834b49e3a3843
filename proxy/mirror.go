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

// copy takes a copy of a request whose body is small, where there is room, and returns
// the request to go on with.
func (m *mirror) copy(r *http.Request) *http.Request {
	if m == nil || rand.Float64() >= m.share || r.ContentLength < 0 || r.ContentLength > heldBytes || r.Header.Get("Upgrade") != "" {
		return r
	}
	select {
	case m.slots <- struct{}{}:
	default:
		return r
	}
	text, err := io.ReadAll(io.LimitReader(r.Body, heldBytes))
	original := r.WithContext(r.Context())
	original.Body = readCloser{io.MultiReader(bytes.NewReader(text), r.Body), r.Body}
	if err != nil || int64(len(text)) != r.ContentLength {
		<-m.slots
		return original
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), mirrorTimeout)
	duplicate := r.Clone(ctx)
	duplicate.RequestURI = ""
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
	return original
}

type readCloser struct {
	io.Reader
	io.Closer
}
