package integration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"windlass/events"
	"windlass/schemas"
	"windlass/workflows"
)

// infrastructure is the name of the Infrastructure in most tests; the environment
// tells them apart.
const infrastructure = "shop"

func scopeOf(environment string) schemas.Scope {
	return schemas.Scope{Environment: environment, Infrastructure: infrastructure}
}

// document is an Infrastructure with the resources in YAML, as they stand below
// "resources:".
func document(scope schemas.Scope, resources string) string {
	return fmt.Sprintf("apiVersion: windlass/v1\nkind: Infrastructure\nmetadata: {name: %s}\nspec:\n  environment: %s\n  resources:\n%s", scope.Infrastructure, scope.Environment, resources)
}

// deploy publishes a document as a command.
func (w *world) deploy(t *testing.T, scope schemas.Scope, text string) {
	t.Helper()
	w.command(t, scope, schemas.CommandDeploymentRequested, map[string]any{"document": text})
}

func (w *world) destroy(t *testing.T, scope schemas.Scope) {
	t.Helper()
	w.command(t, scope, schemas.CommandDestroyRequested, schemas.DestroyRequested{Scope: scope})
}

func (w *world) command(t *testing.T, scope schemas.Scope, eventType string, data any) {
	t.Helper()
	e, err := events.NewCommand(eventType, data)
	require.NoError(t, err)
	_, err = events.PublishCommand(t.Context(), w.js, scope, e)
	require.NoError(t, err)
}

// told is a status event as the stream holds it.
type told struct {
	schemas.Event
	messageID string
}

// story returns all that the stream of status events has of a scope, in order.
func (w *world) story(t *testing.T, scope schemas.Scope) []told {
	t.Helper()
	stream, err := w.js.Stream(t.Context(), events.StatusStream)
	require.NoError(t, err)
	filter := fmt.Sprintf("windlass.status.%s.%s.>", scope.Environment, scope.Infrastructure)
	var all []told
	for next := uint64(1); ; {
		message, err := stream.GetMsg(t.Context(), next, jetstream.WithGetMsgSubject(filter))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return all
		}
		require.NoError(t, err)
		event, err := events.ReadStatus(message.Data)
		require.NoError(t, err)
		all = append(all, told{Event: event, messageID: message.Header.Get(nats.MsgIdHdr)})
		next = message.Sequence + 1
	}
}

// awaitEvent waits for an event of the scope for which the condition holds.
func (w *world) awaitEvent(t *testing.T, scope schemas.Scope, what string, condition func(schemas.Event) bool) schemas.Event {
	t.Helper()
	return w.awaitAny(t, what+" of "+scope.String(), func(e schemas.Event) bool { return concerns(e, scope) && condition(e) })
}

// end waits for the last event of a deployment.
func (w *world) end(t *testing.T, scope schemas.Scope, revision int) schemas.Event {
	t.Helper()
	return w.awaitEvent(t, scope, fmt.Sprintf("the end of revision %d", revision), isEnd(revision))
}

func isEnd(revision int) func(schemas.Event) bool {
	return func(e schemas.Event) bool {
		return e.Deployment != nil && e.Deployment.Final && e.Deployment.Revision == revision
	}
}

// requireEnd waits for the end of a deployment and fails unless it is of that type.
func (w *world) requireEnd(t *testing.T, scope schemas.Scope, revision int, eventType string) schemas.Event {
	t.Helper()
	end := w.end(t, scope, revision)
	failure, err := json.Marshal(end.Deployment.Error)
	require.NoError(t, err)
	require.Equal(t, eventType, end.Type, "%s", failure)
	return end
}

// settle waits until nothing moves any more.
func (w *world) settle(t *testing.T, scope schemas.Scope) {
	t.Helper()
	require.Eventually(t, func() bool { return w.atRest(t, scope) }, patience, 200*time.Millisecond, "the scope %s does not come to rest", scope)
}

// atRest says that every command is acknowledged and neither workflow nor activity
// is under way for the scope.
func (w *world) atRest(t *testing.T, scope schemas.Scope) bool {
	consumer, err := w.js.Consumer(t.Context(), events.CommandStream, events.TriggerConsumer)
	if err != nil {
		return false
	}
	info := consumer.CachedInfo()
	if info.NumAckPending > 0 || info.NumPending > 0 {
		return false
	}
	run, err := w.client.DescribeWorkflowExecution(t.Context(), workflows.InfrastructureID(scope), "")
	return err == nil && run.PendingWorkflowTask == nil && len(run.PendingActivities) == 0 && len(run.PendingChildren) == 0
}

// requireStory fails unless the stream holds exactly the events, each given as
// type and subject, in any order, and each stored once with a sequence that rises
// for each source.
func requireStory(t *testing.T, all []told, wanted []string) {
	t.Helper()
	var found []string
	ids, messageIDs, last := map[string]bool{}, map[string]bool{}, map[string]string{}
	for _, e := range all {
		name := schemas.ShortType(e.Type) + " " + e.Subject
		if e.Rollout == nil { // how often a rollout tells its progress is chance
			found = append(found, name)
		}
		require.False(t, ids[e.Source+" "+e.ID], "%s is stored twice under one id", name)
		require.False(t, messageIDs[e.messageID], "%s is stored twice under one message id", name)
		require.Greater(t, e.Sequence, last[e.Source], "%s does not come after the event of its source before it", name)
		ids[e.Source+" "+e.ID], messageIDs[e.messageID], last[e.Source] = true, true, e.Sequence
	}
	slices.Sort(found)
	wanted = slices.Sorted(slices.Values(wanted))
	require.Equal(t, wanted, found, "the status events are not those of one deployment")
}

// deployed lists the events of a deployment that creates or updates resources.
func deployed(scope schemas.Scope, beginning string, resources ...string) []string {
	list := []string{"command.accepted " + scope.String(), "deployment.started " + scope.String(), "deployment.planned " + scope.String(), "deployment.succeeded " + scope.String()}
	ending := "ready"
	if beginning == "deleting" {
		ending = "deleted"
	}
	for _, r := range resources {
		list = append(list, "resource."+beginning+" "+r, "resource."+ending+" "+r)
	}
	return list
}

// awaitAny waits for an event of any scope.
func (w *world) awaitAny(t *testing.T, what string, condition func(schemas.Event) bool) schemas.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	event, err := w.audience.await(ctx, condition)
	require.NoError(t, err, "no event: %s", what)
	return event
}
