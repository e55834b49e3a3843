package docker

import (
	"context"
	"errors"
	"io"
	"strconv"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"
)

// lastExitCode is the exit code of a container's last end. A container that was
// restarted and runs has none any more, but the engine remembers the newest few
// hundred of its events.
func (p *Provider) lastExitCode(ctx context.Context, c *container.InspectResponse) (code int, known bool) {
	if c.State.Status != container.StateRunning {
		return c.State.ExitCode, true
	}
	filters := client.Filters{}
	filters.Add("container", c.ID)
	filters.Add("event", string(events.ActionDie))
	past, err := read(ctx, func(ctx context.Context) ([]events.Message, error) {
		return pastEvents(ctx, p.engine.Events(ctx, client.EventsListOptions{
			Since: c.Created, Until: time.Now().Format(time.RFC3339Nano), Filters: filters,
		}))
	})
	if err != nil {
		p.logger.Warn("cannot read the past events of a container", "container", c.ID, "error", err)
	}
	for _, e := range past {
		if n, err := strconv.Atoi(e.Actor.Attributes["exitCode"]); err == nil {
			code, known = n, true
		}
	}
	return code, known
}

// pastEvents reads a stream that ends.
func pastEvents(ctx context.Context, stream client.EventsResult) ([]events.Message, error) {
	var past []events.Message
	for {
		select {
		case e := <-stream.Messages:
			past = append(past, e)
		case err := <-stream.Err:
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return past, err
		case <-ctx.Done():
			return past, ctx.Err()
		}
	}
}
