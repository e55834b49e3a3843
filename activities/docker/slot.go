package docker

import (
	"context"
	"fmt"

	"windlass/activities"
)

// DefaultParallelism is how many containers are created and started at a time.
//
// It was measured with 30 containers of the fixture image on Docker Engine 20.10
// with two cores, which were busy with other work as well; best of three rounds.
// One at a time took 32 s, two 26 s, four 21 s and eight 27 s, while the slowest
// single start took 1.5 s, 2.5 s, 4.5 s and 10 s: beyond four the engine gets no
// more done, and each container only waits longer.
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
