package docker

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"windlass/activities"
	"windlass/plan"
	"windlass/schemas"
)

// The bounds of the log lines in evidence; maxLog bounds what is read for them.
const (
	maxLogLines   = 20
	maxLogLine    = 500
	maxLog        = 1 << 20
	maxHealthText = 500
)

// killed is the exit code of a container that SIGKILL ended, which the kernel sends
// for want of memory.
const killed = 137

// The engine learns of the end of a container and of its want of memory from two
// events, in either order; memoryPatience bounds the wait for the second, which it
// loses when the container's control group is gone before it looks.
const (
	memoryPatience = time.Second
	memoryInterval = 50 * time.Millisecond
)

// settled is the container once the engine knows whether want of memory ended it.
func (p *Provider) settled(ctx context.Context, c *container.InspectResponse, w *workload) *container.InspectResponse {
	for waited := time.Duration(0); waited < memoryPatience; waited += memoryInterval {
		if w.host.Memory == 0 || c.State.Running || c.State.ExitCode != killed || c.State.OOMKilled {
			return c
		}
		if pause(ctx, memoryInterval, w.desired.Resource) != nil {
			return c
		}
		again, err := p.inspect(ctx, w.desired.Resource, c.ID)
		if err != nil || again == nil {
			return c
		}
		c = again
	}
	return c
}

// evidence is what is found at a container that failed, without secrets.
func (p *Provider) evidence(ctx context.Context, c *container.InspectResponse, w *workload, secrets activities.Secrets, health string) *schemas.Evidence {
	c = p.settled(ctx, c, w)
	state := containerState(c.State, w.host.RestartPolicy.Name)
	e := &schemas.Evidence{
		Container: strings.TrimPrefix(c.Name, "/"),
		State:     string(state),
		OOMKilled: c.State.OOMKilled,
		Health:    cut(secrets.Redact(health), maxHealthText),
		Logs:      p.lastLines(ctx, c.ID, secrets),
	}
	if state != plan.ContainerRunning && state != plan.ContainerPaused && state != plan.ContainerCreated {
		code := c.State.ExitCode
		e.ExitCode = &code
	}
	return e
}

// lastLines are the last lines that a container wrote. Logs that cannot be read
// are none: the failure that they belong to is what counts.
func (p *Provider) lastLines(ctx context.Context, id string, secrets activities.Secrets) []string {
	text, err := read(ctx, func(ctx context.Context) (string, error) {
		logs, err := p.engine.ContainerLogs(ctx, id, client.ContainerLogsOptions{
			ShowStdout: true, ShowStderr: true, Tail: strconv.Itoa(maxLogLines),
		})
		if err != nil {
			return "", err
		}
		defer logs.Close()
		var text bytes.Buffer
		_, err = stdcopy.StdCopy(&text, &text, io.LimitReader(logs, maxLog))
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = nil
		}
		return text.String(), err
	})
	if err != nil {
		p.logger.Warn("cannot read the logs of a failed container", "container", id, "error", err)
		return nil
	}
	// Redacted as a whole first: a secret may span lines, and a cut one would not be recognised.
	text = strings.TrimRight(strings.ToValidUTF8(secrets.Redact(text), "�"), "\r\n")
	if text == "" {
		return nil
	}
	lines := strings.Split(text, "\n")
	lines = lines[max(0, len(lines)-maxLogLines):]
	for i, line := range lines {
		lines[i] = cut(strings.TrimRight(line, "\r"), maxLogLine)
	}
	return lines
}
