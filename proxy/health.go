package proxy

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"windlass/schemas/traffic"
)

// check asks an endpoint regularly until the context ends.
func (e *endpoint) check(ctx context.Context, policy traffic.HealthCheck, secure *upstreamTLS, byConnection bool) {
	address := e.address
	if host, _, err := net.SplitHostPort(address); err == nil && policy.Port != 0 {
		address = net.JoinHostPort(host, strconv.Itoa(policy.Port))
	}
	look := httpLook(address, policy, secure)
	if byConnection {
		look = connectionLook(address)
	}
	ticker := time.NewTicker(duration(policy.Interval))
	defer ticker.Stop()
	passes, fails := 0, 0
	for {
		bounded, cancel := context.WithTimeout(ctx, duration(policy.Timeout))
		err := look(bounded)
		cancel()
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			passes, fails = passes+1, 0
			e.trouble.Store(nil)
		} else {
			text := err.Error()
			passes, fails = 0, fails+1
			e.trouble.Store(&text)
		}
		switch {
		case passes >= policy.HealthyThreshold:
			e.unhealthy.Store(false)
		case fails >= policy.UnhealthyThreshold:
			e.unhealthy.Store(true)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

func httpLook(address string, policy traffic.HealthCheck, secure *upstreamTLS) func(context.Context) error {
	scheme := "http"
	if secure != nil {
		scheme = "https"
	}
	client := http.Client{
		Transport: &http.Transport{DisableKeepAlives: true, DialTLSContext: func(ctx context.Context, kind, address string) (net.Conn, error) {
			plain, err := (&net.Dialer{}).DialContext(ctx, kind, address)
			if err != nil {
				return nil, err
			}
			return secure.secure(ctx, plain, address)
		}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	target := scheme + "://" + address + policy.Path
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
		if err != nil {
			return err
		}
		request.Header.Set("User-Agent", "windlass-proxy")
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		const most = 4 << 10
		_, _ = io.CopyN(io.Discard, response.Body, most)
		if response.StatusCode < 200 || response.StatusCode >= 400 {
			return fmt.Errorf("GET %s: %s", policy.Path, response.Status)
		}
		return nil
	}
}

func connectionLook(address string) func(context.Context) error {
	return func(ctx context.Context) error {
		connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		return connection.Close()
	}
}
