package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/moby/moby/api/types/container"

	"windlass/schemas"
)

// verdict is what one look at a replica says.
type verdict int

const (
	undecided verdict = iota
	passed
	failed
)

// probe checks the health of one replica.
type probe interface {
	// look checks once, within ctx. Detail tells people what was found; it may
	// hold anything that the replica answered.
	look(ctx context.Context, c *container.InspectResponse, address string) (v verdict, detail string)
}

// streak counts how often in a row a check passed or failed.
type streak struct{ passes, fails int }

// add counts one more result. A failure that is tolerated only ends a row of passes.
func (s *streak) add(v verdict, tolerated bool) {
	switch {
	case v == passed:
		s.passes, s.fails = s.passes+1, 0
	case v == failed && tolerated:
		s.passes = 0
	case v == failed:
		s.passes, s.fails = 0, s.fails+1
	}
}

// maxAnswer is how much of an answer is kept for people, in bytes.
const maxAnswer = 200

// networkProbe is the probe of a check over HTTP or TCP.
func networkProbe(h schemas.Health) probe {
	if h.HTTP != nil {
		return httpProbe{path: h.HTTP.Path, port: h.HTTP.Port}
	}
	return tcpProbe{port: h.TCP.Port}
}

type httpProbe struct {
	path string
	port int
}

// probeClient follows no redirects, because a status from 300 to 399 passes,
// keeps no connection open, so that each look is a new one, and uses no proxy.
var probeClient = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true, DialContext: (&net.Dialer{}).DialContext},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func (p httpProbe) look(ctx context.Context, _ *container.InspectResponse, address string) (verdict, string) {
	what := "GET " + p.path + ": "
	if address == "" {
		return failed, what + "the container has no address"
	}
	target := "http://" + net.JoinHostPort(address, strconv.Itoa(p.port)) + p.path
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return failed, what + err.Error()
	}
	request.Header.Set("User-Agent", "windlass-health")
	response, err := probeClient.Do(request)
	if err != nil {
		return failed, what + connectionTrouble(err)
	}
	defer response.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(response.Body, maxAnswer)) // A broken body does not change the status.
	if response.StatusCode >= 200 && response.StatusCode < 400 {
		return passed, what + response.Status
	}
	return failed, strings.TrimRight(what+response.Status+": "+oneLine(string(answer)), ": ")
}

type tcpProbe struct{ port int }

func (p tcpProbe) look(ctx context.Context, _ *container.InspectResponse, address string) (verdict, string) {
	what := "connect to port " + strconv.Itoa(p.port) + ": "
	if address == "" {
		return failed, what + "the container has no address"
	}
	var dialer net.Dialer
	connection, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(address, strconv.Itoa(p.port)))
	if err != nil {
		return failed, what + connectionTrouble(err)
	}
	connection.Close()
	return passed, what + "accepted"
}

// execProbe reads the results of the check that the engine runs.
type execProbe struct{ seen time.Time }

func (p *execProbe) look(_ context.Context, c *container.InspectResponse, _ string) (verdict, string) {
	if c.State.Health == nil || len(c.State.Health.Log) == 0 {
		return undecided, "exec check: not run yet"
	}
	last := c.State.Health.Log[len(c.State.Health.Log)-1]
	detail := strings.TrimRight(fmt.Sprintf("exec check: exit code %d: %s", last.ExitCode, oneLine(cut(last.Output, maxAnswer))), ": ")
	switch {
	case !last.Start.After(p.seen):
		return undecided, detail
	case last.ExitCode == 0:
		p.seen = last.Start
		return passed, detail
	default:
		p.seen = last.Start
		return failed, detail
	}
}

// connectionTrouble is the innermost reason why a connection failed, without the
// address, which people do not know.
func connectionTrouble(err error) string {
	var timeout interface{ Timeout() bool }
	if errors.As(err, &timeout) && timeout.Timeout() {
		return "no answer in time"
	}
	var number syscall.Errno
	if errors.As(err, &number) {
		return number.Error()
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err.Error()
	}
	return err.Error()
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// cut shortens text to at most n bytes without breaking a character.
func cut(text string, n int) string {
	if len(text) > n {
		text = text[:n]
	}
	return strings.ToValidUTF8(text, "")
}
