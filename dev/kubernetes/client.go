package kubernetes

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// requestTimeout bounds one request to the server; none of ours is a watch.
const requestTimeout = 10 * time.Second

// StatusError is what the API server answered instead of doing what it was asked.
type StatusError struct {
	// Code is the HTTP status code.
	Code int
	// Message is the server's, as it was sent.
	Message string
}

func (e *StatusError) Error() string { return fmt.Sprintf("status %d: %s", e.Code, e.Message) }

// Request makes one request to the API server as the Administrator, for set-ups and checks that want no client library. Body is
// sent as JSON, and as a merge patch where the method is PATCH; a string is sent as the YAML that it is, and nil is none. The answer is decoded from JSON into into, which
// may be a *[]byte for the answer as it is, or nil. The error is a *StatusError where the server refused.
func (c *Cluster) Request(ctx context.Context, method, path string, body, into any) error {
	return c.api.do(ctx, method, path, body, into)
}

// client makes requests to the API server as one user.
type client struct {
	url   string
	token string
	http  *http.Client
}

func newClient(url string, ca []byte, token string) *client {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	return &client{url: url, token: token, http: &http.Client{
		Timeout: requestTimeout,
		// No connection is kept: one to a server that was stopped would fail the first request to the next.
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true},
	}}
}

func (c *client) get(ctx context.Context, path string, into any) error {
	return c.do(ctx, http.MethodGet, path, nil, into)
}

func (c *client) create(ctx context.Context, path string, object any) error {
	return c.do(ctx, http.MethodPost, path, object, nil)
}

func (c *client) do(ctx context.Context, method, path string, body, into any) error {
	var content bytes.Buffer
	contentType := "application/json"
	switch body := body.(type) {
	case nil:
	case string:
		contentType = "application/yaml"
		content.WriteString(body)
	default:
		if method == http.MethodPatch {
			contentType = "application/merge-patch+json"
		}
		if err := json.NewEncoder(&content).Encode(body); err != nil {
			return err
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, c.url+path, &content)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+c.token)
	request.Header.Set("Content-Type", contentType)
	answer, err := c.answer(request)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	switch into := into.(type) {
	case nil:
		return nil
	case *[]byte:
		*into = answer
		return nil
	default:
		return json.Unmarshal(answer, into)
	}
}

func (c *client) answer(request *http.Request) ([]byte, error) {
	response, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode >= http.StatusBadRequest {
		return nil, &StatusError{Code: response.StatusCode, Message: string(bytes.TrimSpace(answer))}
	}
	return answer, nil
}
