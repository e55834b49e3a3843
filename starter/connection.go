package starter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"windlass/events"
)

const (
	// askTimeout bounds a question; a worker answers from records, in milliseconds.
	askTimeout = 5 * time.Second
	// liveTimeout bounds a question that makes the worker ask its engines.
	liveTimeout = 30 * time.Second
	// sendTimeout bounds one call to JetStream.
	sendTimeout = 10 * time.Second
)

// connect opens the connection that the flags name.
func (a *app) connect() (*nats.Conn, error) {
	if a.credentials != "" {
		if _, err := os.Stat(a.credentials); err != nil {
			return nil, exitf(ExitUsage, "--creds: %w", err)
		}
	}
	conn, err := events.Connect(a.url, events.ConnectOptions{Name: "windlass", Credentials: a.credentials})
	if err != nil {
		return nil, a.unreachable(err)
	}
	return conn, nil
}

// unreachable says in one line what does not answer, why, and what to try.
func (a *app) unreachable(err error) error {
	why, try := innermost(err), "start windlass-dev, or name another address with --nats or NATS_URL"
	switch {
	case errors.Is(err, nats.ErrNoServers):
		why = "connection refused"
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired):
		why, try = "it refuses the credentials", "name a file with valid ones with --creds"
	case errors.Is(err, nats.ErrTimeout), errors.Is(err, context.DeadlineExceeded):
		why = "no answer in time"
	}
	return exitf(ExitUnreachable, "cannot reach NATS at %s: %s; %s", a.address(), why, try)
}

// address is where NATS should be, without passwords.
func (a *app) address() string {
	servers := strings.Split(a.url, ",")
	for n, server := range servers {
		if u, err := url.Parse(strings.TrimSpace(server)); err == nil {
			servers[n] = u.Redacted()
		}
	}
	return strings.Join(servers, ",")
}

// streamError tells a failure of JetStream.
func (a *app) streamError(doing string, err error) error {
	switch {
	case errors.Is(err, events.ErrNoStreams):
		return exitf(ExitUnreachable, "NATS at %s has no streams of Windlass yet; start windlass-dev or windlass-worker there, which makes them", a.address())
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		return exitf(ExitUnreachable, "NATS at %s has no JetStream; start it with JetStream, or start windlass-dev", a.address())
	case errors.Is(err, nats.ErrMaxPayload):
		return exitf(ExitRejected, "the command is larger than NATS at %s accepts", a.address())
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrTimeout):
		return exitf(ExitUnreachable, "cannot %s: NATS at %s does not answer in time; see whether its JetStream is well", doing, a.address())
	case errors.Is(err, context.Canceled):
		return err
	}
	return exitf(ExitUnreachable, "cannot %s at %s: %s", doing, a.address(), innermost(err))
}

// noWorker says that nobody answers a question.
func (a *app) noWorker(why string) error {
	return exitf(ExitUnreachable, "no worker answers at %s: %s; start one with windlass-dev or windlass-worker", a.address(), why)
}

// ask puts a question to a worker and returns its answer, as it came and read.
func ask[T any](ctx context.Context, a *app, conn *nats.Conn, subject string, request any, timeout time.Duration) (T, json.RawMessage, error) {
	var answer T
	body, err := json.Marshal(request)
	if err != nil {
		return answer, nil, fmt.Errorf("encode the question %s: %w", subject, err)
	}
	bounded, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	reply, err := conn.RequestWithContext(bounded, subject, body)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return answer, nil, ctx.Err()
	case errors.Is(err, nats.ErrNoResponders):
		return answer, nil, a.noWorker("none listens")
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrTimeout):
		return answer, nil, a.noWorker(fmt.Sprintf("no answer within %s", timeout))
	case errors.Is(err, nats.ErrMaxPayload):
		return answer, nil, exitf(ExitRejected, "the question has %d bytes, which is more than NATS at %s takes", len(body), a.address())
	default:
		return answer, nil, a.unreachable(err)
	}
	if text := reply.Header.Get("Nats-Service-Error"); text != "" {
		return answer, nil, answerError(reply.Header.Get("Nats-Service-Error-Code"), text)
	}
	if err := json.Unmarshal(reply.Data, &answer); err != nil {
		return answer, nil, fmt.Errorf("read the worker's answer to %s: %w", subject, err)
	}
	return answer, reply.Data, nil
}

// answerError gives a worker's refusal its exit code.
func answerError(code, text string) error {
	switch code {
	case "404":
		return exitf(ExitNotFound, "%s", text)
	case "503", "429":
		return exitf(ExitUnreachable, "the worker answers that it cannot: %s", text)
	case "401", "403", "409", "413", "422":
		return exitf(ExitRejected, "%s", text)
	}
	return exitf(ExitInternal, "the worker refuses the question: %s", text)
}

// innermost is the last cause of an error: the part that says why.
func innermost(err error) string {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return strings.TrimPrefix(err.Error(), "nats: ")
		}
		err = next
	}
}
