package starter

import (
	"testing"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/stretchr/testify/require"

	"windlass/schemas"
)

func TestScaleSaysHowManyAndWaitsForTheEnd(t *testing.T) {
	t.Parallel()
	w := startWorker(t, func(command event.Event) []schemas.Event {
		return newStory(command.ID(), 4).accepted().
			resource(schemas.StatusResourceUpdating, "users", schemas.ResourceStatus{Cause: "changes replicas from 3 to 6"}).
			resource(schemas.StatusResourceReady, "users", schemas.ResourceStatus{}).succeeded().events
	})
	p := ran(t, ExitDone, w.url, "scale", "staging/users", "users", "6", "--reason", "the fair", "--wait")
	require.Contains(t, p.stdout.String(), "staging/users users ready")
	command := <-w.commands
	require.Equal(t, schemas.CommandScaleRequested, command.Type())
	require.JSONEq(t, `{"environment":"staging","infrastructure":"users","resource":"users","replicas":6,"reason":"the fair"}`, string(command.Data()))

	p = ran(t, ExitUsage, w.url, "scale", "staging/users", "users", "many")
	require.Contains(t, p.stderr.String(), `REPLICAS is "many"; a number from 0 on is expected`)
}
