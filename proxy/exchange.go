package proxy

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"windlass/schemas/traffic"
)

// maxTries bounds the tries of one request, whatever its policy says.
const maxTries = 21

// passage passes the requests of a route to the endpoints of a service: it chooses,
// tries, and tries again. It is the http.RoundTripper of a reverse proxy.
type passage struct {
	service *service
	subset  string
}

// RoundTrip implements http.RoundTripper.
func (p *passage) RoundTrip(request *http.Request) (*http.Response, error) {
	s := p.service
	ctx, cancel := request.Context(), context.CancelFunc(func() {})
	if bound := duration(s.policy.Timeout.RequestTimeout); bound > 0 {
		ctx, cancel = context.WithTimeout(ctx, bound)
	}
	sent, _ := request.Body.(*clientBody)
	x := exchange{passage: p, request: request, ctx: ctx, sent: sent, held: hold(request, s.policy.Retry), endpoints: s.group(p.subset)}
	if sent != nil && ctx != request.Context() {
		defer context.AfterFunc(ctx, func() {
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				sent.abandon()
			}
		})()
	}
	response, err := x.run()
	if err != nil {
		cancel()
		return nil, err
	}
	response.Body = x.finishing(response, cancel)
	return response, nil
}

// hold makes the body of a request one that can be sent again, where somebody may want
// to.
func hold(request *http.Request, retry *traffic.Retry) *body {
	if request.Body == nil || request.Body == http.NoBody || retry == nil {
		return nil
	}
	return &body{source: request.Body}
}

// exchange is one request with all of its tries.
type exchange struct {
	*passage
	request *http.Request
	ctx     context.Context
	// sent is the body; nil where there is none, or none that a client sends.
	sent      *clientBody
	held      *body
	endpoints []*endpoint
	tried     []*endpoint
	chosen    candidate
	began     time.Time
}

func (x *exchange) run() (*http.Response, error) {
	s := x.service
	if s.budget != nil {
		s.budget.request()
	}
	for try := 0; ; try++ {
		response, err := x.try()
		if !x.again(try, response, err) {
			return response, err
		}
		if response != nil {
			x.discard(response)
		}
		x.chosen.metrics.retries.Inc()
		if err := x.pause(try); err != nil {
			return nil, err
		}
	}
}

// try sends the request to one endpoint.
func (x *exchange) try() (*http.Response, error) {
	chosen, err := x.service.pick(x.endpoints, x.tried)
	if err != nil && x.moveOn() {
		return x.try()
	}
	if err != nil {
		return nil, err
	}
	x.chosen = chosen
	x.tried = append(x.tried, chosen.endpoint)
	settings := chosen.settings
	if err := settings.limit.enter(x.ctx); err != nil {
		settings.breaker.forget(chosen.turn)
		return nil, err
	}
	if !chosen.begin() {
		settings.limit.leave()
		settings.breaker.forget(chosen.turn)
		x.tried = x.tried[:len(x.tried)-1]
		return x.try()
	}
	x.began = time.Now()
	response, err := x.send()
	switch {
	case err == nil && x.sent.failed():
		settings.breaker.forget(chosen.turn) // whatever it answers to half of a request
		return response, nil
	case err == nil:
		x.report(response.StatusCode >= http.StatusInternalServerError)
		return response, nil
	}
	settings.limit.leave()
	chosen.end()
	if err = x.sent.explain(err); kindOf(err).ofClient() {
		settings.breaker.forget(chosen.turn)
	} else {
		x.report(true)
	}
	chosen.metrics.errors[kindOf(err)].Inc()
	return nil, err
}

// moveOn leaves a service of a former configuration, all of whose endpoints may have been
// taken out since the request came, for what it has become; false where that is the same.
func (x *exchange) moveOn() bool {
	next := x.service.latest()
	if next == x.service {
		return false
	}
	x.passage = &passage{service: next, subset: x.subset}
	x.endpoints, x.tried = next.group(x.subset), nil
	if x.held == nil {
		x.held = hold(x.request, next.policy.Retry) // without a policy of retries, nothing was sent yet
	}
	return true
}

// report tells breaker and outlier detection how a try ended.
func (x *exchange) report(fault bool) {
	x.chosen.settings.breaker.report(x.chosen.turn, fault)
	x.service.judge(x.chosen, fault)
}

// send does one try, which may have a bound of its own until the answer begins.
func (x *exchange) send() (*http.Response, error) {
	ctx, bounded := x.ctx, func() bool { return false }
	if r := x.service.policy.Retry; r != nil && r.RetryTimeout != nil {
		var cancel context.CancelCauseFunc
		ctx, cancel = context.WithCancelCause(x.ctx)
		timer := time.AfterFunc(duration(r.RetryTimeout), func() { x.sent.abandon(); cancel(context.DeadlineExceeded) })
		bounded = func() bool { timer.Stop(); return errors.Is(context.Cause(ctx), context.DeadlineExceeded) }
	}
	out := x.request
	if ctx != out.Context() || x.held != nil || len(x.tried) > 1 {
		out = out.Clone(ctx)
	}
	if x.held != nil {
		out.Body, _ = x.held.again()
		out.GetBody = func() (io.ReadCloser, error) {
			again, ok := x.held.again()
			if !ok {
				return nil, errors.New("the body is not held any more")
			}
			return again, nil
		}
	}
	out.URL.Host = x.chosen.address
	out.URL.Scheme = "http"
	if x.service.tls != nil {
		out.URL.Scheme = "https"
	}
	response, err := x.chosen.settings.transport.RoundTrip(out)
	if bounded() && err != nil {
		return nil, &problem{timedOut, err}
	}
	return response, err
}

// again says whether a try is repeated.
func (x *exchange) again(try int, response *http.Response, err error) bool {
	r := x.service.policy.Retry
	if r == nil || try >= min(*r.MaxRetries, maxTries) || x.ctx.Err() != nil || x.sent.failed() || !x.held.replayable() {
		return false
	}
	if !slices.Contains(r.RetryOn, x.outcome(response, err)) {
		return false
	}
	safe := isConnectFailure(err) || r.NonIdempotent || idempotent(x.request)
	return safe && x.service.budget.retry() && x.held.rewind()
}

// outcome is what a policy calls the end of a try; empty is one that it has no word for.
func (x *exchange) outcome(response *http.Response, err error) traffic.RetryOn {
	switch {
	case err == nil && response.StatusCode >= http.StatusInternalServerError:
		return traffic.Retry5xx
	case err == nil:
		return ""
	case isConnectFailure(err):
		return traffic.RetryConnectFailure
	}
	switch kindOf(err) {
	case timedOut:
		return traffic.RetryTimeout
	case network:
		return traffic.RetryReset
	}
	return ""
}

// idempotent says whether a request may be sent twice (RFC 9110, 9.2.2).
func idempotent(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return r.Header.Get("Upgrade") == ""
	}
	return r.Header.Get("Idempotency-Key") != ""
}

// discard gives up an answer that is not passed on.
func (x *exchange) discard(response *http.Response) {
	const most = 64 << 10 // so that the connection can be kept
	_, _ = io.CopyN(io.Discard, response.Body, most)
	_ = response.Body.Close()
	x.done(response.StatusCode)
}

func (x *exchange) done(status int) {
	x.chosen.settings.limit.leave()
	x.chosen.end()
	x.chosen.metrics.observe(status, time.Since(x.began))
}

// pause waits before the next try.
func (x *exchange) pause(try int) error {
	most := duration(x.service.policy.Retry.Backoff) << min(try, maxTries)
	if most <= 0 {
		return nil
	}
	timer := time.NewTimer(rand.N(most))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-x.ctx.Done():
		return x.ctx.Err()
	}
}

// finishing is the body of an answer, at whose end the request is not in flight any
// more. That of a switched protocol can be written too.
func (x *exchange) finishing(response *http.Response, cancel context.CancelFunc) io.ReadCloser {
	f := &finishingBody{ReadCloser: response.Body, exchange: x, status: response.StatusCode, cancel: cancel}
	if writer, ok := response.Body.(io.ReadWriteCloser); ok {
		return &switchedBody{f, writer}
	}
	return f
}

// interrupted notes an answer that broke off.
func (s *service) interrupted(c candidate) {
	c.metrics.errors[network].Inc()
	s.judge(c, true)
}

type finishingBody struct {
	io.ReadCloser
	exchange *exchange
	status   int
	cancel   context.CancelFunc
	once     sync.Once
}

func (f *finishingBody) Read(p []byte) (int, error) {
	late := f.exchange.ctx.Err() != nil // the time went by while the client took what came before
	n, err := f.ReadCloser.Read(p)
	if err != nil && err != io.EOF && !late && kindOf(err) != clientGone && !f.exchange.sent.failed() {
		f.exchange.service.interrupted(f.exchange.chosen)
	}
	if n > 0 {
		f.exchange.sent.moved()
	}
	return n, err
}

func (f *finishingBody) Close() error {
	err := f.ReadCloser.Close()
	f.once.Do(func() {
		f.exchange.done(f.status)
		f.cancel()
	})
	return err
}

type switchedBody struct {
	*finishingBody
	writer io.Writer
}

func (s *switchedBody) Write(p []byte) (int, error) { return s.writer.Write(p) }
