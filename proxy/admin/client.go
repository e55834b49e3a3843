package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"windlass/proxy"
	"windlass/schemas/traffic"
)

// What a proxy may refuse. Errors of a Client are or wrap these where they apply.
var (
	ErrInvalid     = errors.New("the proxy refuses it")
	ErrNotDrained  = errors.New("there are requests in flight")
	ErrUnreachable = errors.New("the proxy cannot be reached")
	errReplaced    = errors.New("another process serves by now")
)

// A process that was replaced goes on to take connections for a moment. A Client that
// meets it asks again after replacementInterval, for as long as replacementTime.
const (
	replacementInterval = 20 * time.Millisecond
	replacementTime     = 10 * time.Second
)

// Client asks a proxy. Its methods may be called side by side.
type Client struct {
	socket string
	http   http.Client
}

// NewClient returns a client of the proxy that listens on a Unix socket.
func NewClient(socket string) *Client {
	dialer := net.Dialer{}
	return &Client{socket: socket, http: http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", socket)
		},
	}}}
}

// Apply makes the proxy work by a configuration, given as JSON. The error wraps
// proxy.ErrOlder, proxy.ErrConflict or ErrInvalid.
func (c *Client) Apply(ctx context.Context, configuration []byte) error {
	return c.ask(ctx, http.MethodPut, "/configuration", configuration, nil)
}

// Configuration is what the proxy does.
func (c *Client) Configuration(ctx context.Context) (traffic.Configuration, error) {
	var configuration traffic.Configuration
	err := c.ask(ctx, http.MethodGet, "/configuration", nil, &configuration)
	return configuration, err
}

// Status is how the endpoints are.
func (c *Client) Status(ctx context.Context) (proxy.Status, error) {
	var status proxy.Status
	err := c.ask(ctx, http.MethodGet, "/status", nil, &status)
	return status, err
}

// Drained returns when an endpoint has nothing in flight; after the timeout with an
// error that wraps ErrNotDrained.
func (c *Client) Drained(ctx context.Context, service, endpoint string, timeout time.Duration) error {
	query := url.Values{"service": {service}, "endpoint": {endpoint}, "timeout": {timeout.String()}}
	return c.ask(ctx, http.MethodGet, "/drained?"+query.Encode(), nil, nil)
}

// Upgrade lets the binary at a path, as the proxy sees it, serve from now on.
func (c *Client) Upgrade(ctx context.Context, binary string) error {
	text, err := json.Marshal(map[string]string{"binary": binary})
	if err != nil {
		return err
	}
	return c.ask(ctx, http.MethodPost, "/upgrade", text, nil)
}

// Version is the version of the program that serves.
func (c *Client) Version(ctx context.Context) (string, error) {
	var v version
	err := c.ask(ctx, http.MethodGet, "/version", nil, &v)
	return v.Version, err
}

func (c *Client) ask(ctx context.Context, method, path string, body []byte, into any) error {
	for end := time.Now().Add(replacementTime); ; {
		err := c.askOnce(ctx, method, path, body, into)
		switch {
		case !errors.Is(err, errReplaced):
			return err
		case time.Now().After(end):
			return fmt.Errorf("%w: its process is replaced again and again", ErrUnreachable)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(replacementInterval):
		}
	}
}

func (c *Client) askOnce(ctx context.Context, method, path string, body []byte, into any) error {
	request, err := http.NewRequestWithContext(ctx, method, "http://proxy"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return fmt.Errorf("%w at %s: %w", ErrUnreachable, c.socket, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxConfiguration))
	if err != nil {
		return fmt.Errorf("%w at %s: %w", ErrUnreachable, c.socket, err)
	}
	if response.StatusCode != http.StatusOK {
		return refused(response.Status, text)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(text, into)
}

// refused is the error of an answer that is no 200.
func refused(status string, text []byte) error {
	var r refusal
	if json.Unmarshal(text, &r) != nil || r.Error == "" {
		return fmt.Errorf("the proxy answers %s", status)
	}
	kinds := map[string]error{
		reasonOlder: proxy.ErrOlder, reasonConflict: proxy.ErrConflict, reasonInvalid: ErrInvalid,
		reasonDrain: ErrNotDrained, reasonReplaced: errReplaced,
	}
	if kind := kinds[r.Reason]; kind != nil {
		return &refusedError{r.Error, kind}
	}
	return errors.New(r.Error)
}

// refusedError is what the proxy says, and of what kind that is.
type refusedError struct {
	message string
	kind    error
}

func (e *refusedError) Error() string { return e.message }

func (e *refusedError) Unwrap() error { return e.kind }
