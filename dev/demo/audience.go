package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
)

// audience are clients that go on to use the service while something happens to it.
type audience struct {
	stop     context.CancelFunc
	clients  sync.WaitGroup
	answered atomic.Int64
	failure  atomic.Pointer[string]
}

// audienceSize is how many clients ask, each over one connection that it keeps.
const audienceSize = 4

func gather(ctx context.Context, url string) *audience {
	ctx, stop := context.WithCancel(ctx)
	a := &audience{stop: stop}
	for range audienceSize {
		a.clients.Go(func() {
			client := http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for ctx.Err() == nil {
				if err := ask(ctx, &client, url); err == nil {
					a.answered.Add(1)
				} else if ctx.Err() == nil {
					text := err.Error()
					a.failure.Store(&text)
				}
			}
		})
	}
	return a
}

func ask(ctx context.Context, client *http.Client, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s answered %s", url, response.Status)
	}
	return nil
}

// leave ends the use, and says how many requests were answered, or why one was not.
func (a *audience) leave() (int64, error) {
	a.stop()
	a.clients.Wait()
	if failure := a.failure.Load(); failure != nil {
		return 0, fmt.Errorf("a request failed: %s", *failure)
	}
	return a.answered.Load(), nil
}
