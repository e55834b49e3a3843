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

	"windlass/activities"
	"windlass/plan"
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

// stirring are the events after which a container may not be as it was.
var stirring = []events.Action{
	events.ActionCreate, events.ActionStart, events.ActionDie, events.ActionOOM, events.ActionPause,
	events.ActionUnPause, events.ActionDestroy, events.ActionRename, events.ActionHealthStatus,
}

// follow returns a channel that has something whenever the engine has told of a container
// of the resource. A stream that breaks is taken up again, and counts as something told:
// nobody knows what it would have been.
func (p *Provider) follow(ctx context.Context, t plan.Target) <-chan struct{} {
	stirred := make(chan struct{}, 1)
	stir := func() {
		select {
		case stirred <- struct{}{}:
		default: // one that waits is enough
		}
	}
	identity := activities.IdentityLabels(t)
	filters := labelFilter(identity)
	filters.Add("type", string(events.ContainerEventType))
	for _, action := range stirring {
		filters.Add("event", string(action))
	}
	stream := p.engine.Events(ctx, client.EventsListOptions{Filters: filters})
	go func() {
		for {
			select {
			case e := <-stream.Messages:
				if carries(e.Actor.Attributes, identity) {
					stir()
				}
			case <-stream.Err:
				if pause(ctx, stateInterval, t.Resource) != nil {
					return
				}
				stream = p.engine.Events(ctx, client.EventsListOptions{Filters: filters})
				stir()
			}
		}
	}()
	return stirred
}
