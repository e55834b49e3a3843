package docker

import (
	"context"
	"fmt"

	"windlass/activities"
)

// DefaultParallelism is how many containers are created and started at a time.
const DefaultParallelism = 4

// slot waits for one of the places for creating and starting a container, and
// returns the function that gives it back. A place is never held while a
// container is waited for.
func (p *Provider) slot(ctx context.Context, waitingFor string, say activities.Progress) (func(), error) {
	select {
	case p.slots <- struct{}{}:
	default:
		say(waitingFor + ": waiting until other containers have started")
		select {
		case p.slots <- struct{}{}:
		case <-ctx.Done():
			return nil, fmt.Errorf("%s: waiting until other containers have started: %w", waitingFor, ctx.Err())
		}
	}
	return func() { <-p.slots }, nil
}
