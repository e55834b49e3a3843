package starter

import (
	"strings"
	"testing"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/stretchr/testify/require"

	"windlass/schemas"
)

func TestDestroySendsTheScopeAndWaitsForTheEnd(t *testing.T) {
	t.Parallel()
	w := startWorker(t, func(command event.Event) []schemas.Event {
		s := newStory(command.ID(), 4)
		s.destroy = true
		return s.accepted().
			resource(schemas.StatusResourceDeleting, "backend", schemas.ResourceStatus{Cause: "is no longer declared"}).
			resource(schemas.StatusResourceDeleted, "backend", schemas.ResourceStatus{}).succeeded().events
	})
	w.know(usersStatus())
	p := ran(t, ExitDone, w.url, "destroy", "staging/users", "--yes", "--wait")
	require.Contains(t, p.stdout.String(), "staging/users backend deleted\n")
	command := <-w.commands
	require.Equal(t, schemas.CommandDestroyRequested, command.Type())
	require.JSONEq(t, `{"environment":"staging","infrastructure":"users"}`, string(command.Data()))
}

func TestDestroyWithoutAWorkerIsStored(t *testing.T) {
	t.Parallel()
	url := startStack(t)
	p := ran(t, ExitDone, url, "destroy", "staging/users", "--yes")
	require.True(t, strings.HasPrefix(p.stdout.String(), "command "))
	require.Contains(t, p.stdout.String(), " for staging/users is stored\n")
}

func TestDestroyComesAfterADeploymentThatNobodyHasServedYet(t *testing.T) {
	t.Parallel()
	w := startWorker(t, nil)
	p := ran(t, ExitNotFound, w.url, "destroy", "staging/users", "--yes")
	require.Contains(t, p.stderr.String(), "staging/users")
	ran(t, ExitDone, w.url, "deploy", file(t, "users.yaml", usersDocument))
	ran(t, ExitDone, w.url, "destroy", "staging/users", "--yes")
}
