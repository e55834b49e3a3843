package events

import (
	"fmt"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/stretchr/testify/require"

	"windlass/schemas"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func deploymentEvent(eventType string, counter int, status schemas.DeploymentStatus) schemas.Event {
	status.Scope = scopeNamed("users")
	if status.Revision == 0 {
		status.Revision = 1
	}
	source := schemas.DeploymentSource(status.Scope, status.Revision)
	sequence := schemas.DeploymentSequence(status.Revision, counter)
	return schemas.Event{
		ID: source + " " + sequence, Source: source, Type: eventType, Time: noon.Add(time.Duration(counter) * time.Second),
		Subject: status.String(), Sequence: sequence, CorrelationID: fmt.Sprintf("infrastructure/staging/users/rev-%d", status.Revision),
		CausationID: "command-1", TraceParent: "00-a-b-01", Deployment: &status,
	}
}

func resourceEvent(eventType, resource string, counter int, status schemas.ResourceStatus) schemas.Event {
	status.Scope, status.Revision, status.Resource = scopeNamed("users"), 1, resource
	status.Type, status.Provider = schemas.TypeNetwork, "docker"
	source := schemas.ResourceSource(status.Scope, resource)
	sequence := schemas.DeploymentSequence(1, counter)
	return schemas.Event{
		ID: source + " " + sequence, Source: source, Type: eventType, Time: noon.Add(time.Duration(counter) * time.Second),
		Subject: resource, Sequence: sequence, CorrelationID: "infrastructure/staging/users/rev-1", Resource: &status,
	}
}

// story is a deployment of one resource.
func story() []schemas.Event {
	return []schemas.Event{
		deploymentEvent(schemas.StatusDeploymentStarted, 1, schemas.DeploymentStatus{}),
		deploymentEvent(schemas.StatusDeploymentPlanned, 2, schemas.DeploymentStatus{Unchanged: 1, Operations: []schemas.Operation{{ID: "create backend", Action: schemas.ActionCreate, Resource: "backend", Type: schemas.TypeNetwork, Provider: "docker", Cause: "is declared and not there"}}}),
		resourceEvent(schemas.StatusResourceCreating, "backend", 3, schemas.ResourceStatus{Cause: "is declared and not there"}),
		resourceEvent(schemas.StatusResourceReady, "backend", 4, schemas.ResourceStatus{Outputs: schemas.Outputs{"name": "users-backend"}}),
		deploymentEvent(schemas.StatusDeploymentSucceeded, 5, schemas.DeploymentStatus{Final: true}),
	}
}

func TestABatchThatIsRepeatedIsStoredOnceAndInOrder(t *testing.T) {
	b := startBus(t, nil)
	want := story()
	// A batch that failed half way, and was repeated until it was through.
	require.NoError(t, b.publisher.Publish(b.context(), want[:3]))
	for range 4 {
		require.NoError(t, b.publisher.Publish(b.context(), want))
	}
	b.restart()
	require.NoError(t, b.publisher.Publish(b.context(), want))
	require.Equal(t, want, b.statuses())
}

func TestAStatusEventIsACloudEventOnItsSubject(t *testing.T) {
	b := startBus(t, nil)
	require.NoError(t, b.publisher.Publish(b.context(), story()[3:4]))
	stored := b.message(StatusStream, 1)
	require.Equal(t, "windlass.status.staging.users.resource.ready", stored.Subject)
	e, _, err := Decode(stored.Header, stored.Data)
	require.NoError(t, err)
	require.Equal(t, "/windlass/staging/users/resources/backend", e.Source())
	require.Equal(t, "backend", e.Subject())
	require.Equal(t, event.ApplicationJSON, e.DataContentType())
	require.Equal(t, map[string]any{"sequence": "00000001.00000004", "correlationid": "infrastructure/staging/users/rev-1"}, e.Extensions())
	require.JSONEq(t, `{"environment":"staging","infrastructure":"users","revision":1,"resource":"backend","type":"Network","provider":"docker","outputs":{"name":"users-backend"}}`, string(e.Data()))
}

func TestThePublisherSaysWhatItCannotPublish(t *testing.T) {
	b := startBus(t, nil)
	require.ErrorContains(t, b.publisher.Publish(b.context(), []schemas.Event{{ID: "a", Type: "b"}}), `status event "a" of type "b" has no data`)
	require.NoError(t, b.js.DeleteStream(b.context(), StatusStream))
	require.ErrorIs(t, b.publisher.Publish(b.context(), story()), ErrNoStreams)
}

func TestStatusEventsOfANewerReleaseAreNotRead(t *testing.T) {
	_, err := ReadStatus([]byte(`{"specversion":"1.0","id":"a","source":"/b","type":"io.windlass.backup.done.v1","data":{}}`))
	require.ErrorContains(t, err, "io.windlass.backup.done.v1 is not known")
	_, err = ReadStatus([]byte("no JSON"))
	require.ErrorContains(t, err, "read status event")
}
