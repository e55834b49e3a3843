package worker

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"windlass/activities"
	"windlass/events"
	"windlass/schemas"
)

// revised stores a document as a revision and publishes that it was deployed.
func (d *desk) revised(number int, document string, final string) {
	d.t.Helper()
	text, err := json.Marshal(document)
	require.NoError(d.t, err)
	request := schemas.DeploymentRequested{Document: text, Parameters: map[string]any{"size": "big"}}
	command, err := events.NewCommand(schemas.CommandDeploymentRequested, request)
	require.NoError(d.t, err)
	event, err := command.MarshalJSON()
	require.NoError(d.t, err)
	parsed, err := schemas.Parse([]byte(document), nil)
	require.NoError(d.t, err)
	reference, err := d.revisions.Put(d.t.Context(), events.Revision{Event: event, Infrastructure: parsed})
	require.NoError(d.t, err)
	d.tell(number, 1, schemas.StatusDeploymentStarted, schemas.DeploymentStatus{Document: reference})
	d.tell(number, 2, final, schemas.DeploymentStatus{Final: true})
}

// tell publishes an event of a deployment.
func (d *desk) tell(revision, n int, eventType string, status schemas.DeploymentStatus) {
	d.t.Helper()
	status.Scope, status.Revision = users, revision
	source := schemas.DeploymentSource(users, revision)
	e := schemas.Event{ID: source + eventType, Source: source, Type: eventType, Sequence: schemas.DeploymentSequence(revision, n), CausationID: "command", Deployment: &status}
	require.NoError(d.t, d.publisher.Publish(d.t.Context(), []schemas.Event{e}))
}

func TestRevisionsAreListedAndCompared(t *testing.T) {
	d := openDesk(t, activities.Providers{"docker": &engine{}})
	d.revised(1, previewed, schemas.StatusDeploymentSucceeded)
	d.revised(2, strings.Replace(previewed, "internal: true", "internal: false", 1), schemas.StatusDeploymentFailed)
	d.tell(3, 1, schemas.StatusDeploymentStarted, schemas.DeploymentStatus{Destroy: true})
	d.tell(3, 2, schemas.StatusDeploymentSucceeded, schemas.DeploymentStatus{Destroy: true, Final: true})

	all, err := ask[schemas.RevisionsAnswer](d, schemas.QueryRevisions, schemas.RevisionsRequest{Scope: users})
	require.NoError(t, err)
	var states []schemas.InfrastructureState
	for i, r := range all.Revisions {
		require.Equal(t, 3-i, r.Revision)
		require.Equal(t, "command", r.Command)
		states = append(states, r.State)
	}
	require.Equal(t, []schemas.InfrastructureState{schemas.InfrastructureDestroyed, schemas.InfrastructureFailed, schemas.InfrastructureReady}, states)

	one, err := ask[schemas.RevisionAnswer](d, schemas.QueryRevision, schemas.RevisionRequest{Scope: users, Revision: 1})
	require.NoError(t, err)
	var text string
	require.NoError(t, json.Unmarshal(one.Request.Document, &text))
	require.Equal(t, previewed, text)
	require.Equal(t, map[string]any{"size": "big"}, one.Request.Parameters)

	diff, err := ask[schemas.PlanAnswer](d, schemas.QueryDiff, schemas.DiffRequest{Scope: users, From: 1, To: 2})
	require.NoError(t, err)
	require.Equal(t, "1 to update, 1 unchanged", diff.Summary)
	diff, err = ask[schemas.PlanAnswer](d, schemas.QueryDiff, schemas.DiffRequest{Scope: users, From: 3, To: 1})
	require.NoError(t, err)
	require.Equal(t, "2 to create", diff.Summary)
}

func TestARevisionThatCannotBeShownSaysWhy(t *testing.T) {
	d := openDesk(t, activities.Providers{"docker": &engine{}})
	_, err := ask[any](d, schemas.QueryRevisions, schemas.RevisionsRequest{Scope: users})
	require.EqualError(t, err, "404 no revision of staging/users is known")
	d.tell(1, 1, schemas.StatusDeploymentStarted, schemas.DeploymentStatus{Document: "0123"})
	d.tell(2, 1, schemas.StatusDeploymentStarted, schemas.DeploymentStatus{Destroy: true})
	for number, want := range map[int]string{
		1: "404 the document of revision 1 of staging/users is gone",
		2: "404 revision 2 of staging/users destroyed everything and has no document",
		7: "404 revision 7 of staging/users is not known",
	} {
		_, err := ask[any](d, schemas.QueryRevision, schemas.RevisionRequest{Scope: users, Revision: number})
		require.EqualError(t, err, want)
	}
	_, err = ask[any](d, schemas.QueryDiff, schemas.DiffRequest{Scope: users, From: 7, To: 2})
	require.EqualError(t, err, "404 revision 7 of staging/users is not known")
}
