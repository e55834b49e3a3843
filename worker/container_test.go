package worker

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/mocks"

	"windlass/activities"
	"windlass/events"
	"windlass/plan"
	"windlass/schemas"
	"windlass/workflows"
)

func TestACommandToAContainerIsASignalToItsLifeCycle(t *testing.T) {
	d := openDesk(t, nil)
	cache := schemas.ContainerScope("staging", "cache")
	command := schemas.CommandReference{Scope: cache, Type: schemas.CommandContainerStop, Key: "key", ID: "id"}
	temporal := mocks.NewClient(t)
	temporal.On("SignalWithStartWorkflow", mock.Anything, "container/staging/cache", workflows.SignalCommand, command, mock.MatchedBy(func(o client.StartWorkflowOptions) bool {
		environment, _ := o.TypedSearchAttributes.GetKeyword(workflows.AttributeEnvironment)
		return o.ID == "container/staging/cache" && o.TaskQueue == TaskQueue && environment == "staging"
	}), workflows.NameContainer, workflows.ContainerInput{Scope: cache}).Return(nil, nil).Once()
	require.NoError(t, (&starter{temporal: temporal, records: d.records}).Start(t.Context(), command))
}

// moved publishes what became of a container.
func (d *desk) moved(environment, name, event, document string) {
	d.t.Helper()
	status := &schemas.ContainerStatus{Environment: environment, Container: name, Provider: "docker", Name: environment + "." + name, State: "Running", Document: document}
	source := schemas.ContainerSource(status.Scope())
	require.NoError(d.t, d.publisher.Publish(d.t.Context(), []schemas.Event{{
		ID: source + event, Source: source, Type: event, Sequence: schemas.ContainerSequence(time.Now(), 1), Container: status,
	}}))
}

func TestContainersAreListedAndMeasured(t *testing.T) {
	e := &engine{
		observed: []plan.Observed{{Target: activities.ContainerTarget("staging", "cache", "docker"), Replicas: []plan.Replica{{Name: "staging.cache", State: plan.ContainerRunning}}}},
		metrics:  []activities.Metrics{{Replica: "staging.cache", CPU: 0.25}},
	}
	d := openDesk(t, activities.Providers{"docker": e})
	d.moved("staging", "cache", schemas.StatusContainerHealthy, "")
	d.moved("staging", "gone", schemas.StatusContainerRemoved, "")
	d.moved("production", "cache", schemas.StatusContainerStopped, "")
	for name, c := range map[string]struct {
		request schemas.ContainersRequest
		want    []string
	}{
		"all that are there":  {schemas.ContainersRequest{}, []string{"production/cache", "staging/cache"}},
		"of one environment":  {schemas.ContainersRequest{Environment: "staging"}, []string{"staging/cache"}},
		"with those that are": {schemas.ContainersRequest{Environment: "staging", Removed: true}, []string{"staging/cache", "staging/gone"}},
		"one":                 {schemas.ContainersRequest{Environment: "production", Container: "cache"}, []string{"production/cache"}},
	} {
		t.Run(name, func(t *testing.T) {
			answer, err := ask[schemas.ContainersAnswer](d, schemas.QueryContainers, c.request)
			require.NoError(t, err)
			var found []string
			for _, view := range answer.Containers {
				found = append(found, view.Record.Scope().String())
				require.Nil(t, view.Live)
			}
			require.Equal(t, c.want, found)
		})
	}
	answer, err := ask[schemas.ContainersAnswer](d, schemas.QueryContainers, schemas.ContainersRequest{Live: true})
	require.NoError(t, err)
	require.Nil(t, answer.Containers[0].Live, "that engine has none")
	require.InDelta(t, 0.25, answer.Containers[1].Live.CPU, 0)
	require.Equal(t, "healthy", answer.Containers[1].Record.Moved)
	_, err = ask[schemas.ContainersAnswer](d, schemas.QueryContainers, schemas.ContainersRequest{Environment: "staging", Container: "gone"})
	require.EqualError(t, err, "404 no container staging/gone is known")
}

// runtime is a ContainerRuntime of which only what logs need is there.
type runtime struct{ activities.ContainerRuntime }

func (runtime) Outputs(plan.Desired) (schemas.Outputs, error) { return nil, nil }

func (runtime) ReplaceOn(schemas.ResourceType) []string { return nil }

func (runtime) ContainerLogs(_ context.Context, d plan.Desired, request schemas.LogsRequest, _ activities.Secrets) (schemas.LogsAnswer, error) {
	if request.Tail == 13 {
		return schemas.LogsAnswer{}, &activities.Fault{Kind: activities.NotFound, Resource: d.Resource, Message: "there is no container"}
	}
	return schemas.LogsAnswer{Lines: []schemas.LogLine{{Stream: "stdout", Text: "hello from " + d.Resource}}}, nil
}

func TestLogsAreReadFromWhereTheContainerRuns(t *testing.T) {
	d := openDesk(t, activities.Providers{"docker": runtime{}})
	const document = "apiVersion: windlass/v1\nkind: Container\nmetadata: {name: cache}\nspec: {environment: staging, properties: {image: i}}"
	data, err := json.Marshal(map[string]string{"document": document})
	require.NoError(t, err)
	tree, err := schemas.ParseTree(data)
	require.NoError(t, err)
	command, err := schemas.ParseCommand(schemas.CommandContainerRun, tree)
	require.NoError(t, err)
	reference, err := d.revisions.Put(t.Context(), events.Revision{Infrastructure: command.Infrastructure})
	require.NoError(t, err)
	d.moved("staging", "cache", schemas.StatusContainerStarted, reference)
	answer, err := ask[schemas.LogsAnswer](d, schemas.QueryLogs, schemas.LogsRequest{Environment: "staging", Container: "cache"})
	require.NoError(t, err)
	require.Equal(t, "hello from cache", answer.Lines[0].Text)
	_, err = ask[schemas.LogsAnswer](d, schemas.QueryLogs, schemas.LogsRequest{Environment: "staging", Container: "cache", Tail: 13})
	require.EqualError(t, err, "404 cache: there is no container")
	_, err = ask[schemas.LogsAnswer](d, schemas.QueryLogs, schemas.LogsRequest{Environment: "staging", Container: "other"})
	require.EqualError(t, err, "404 no container staging/other is known")
}
