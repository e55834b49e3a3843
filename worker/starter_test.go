package worker

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/mocks"

	"windlass/schemas"
	"windlass/workflows"
)

func TestACommandIsASignalToItsInfrastructure(t *testing.T) {
	d := openDesk(t, nil)
	command := schemas.CommandReference{Scope: users, Type: schemas.CommandDeploymentRequested, Key: "key", Sequence: 7, ID: "id"}
	var signals []schemas.CommandReference
	var options []client.StartWorkflowOptions
	temporal := mocks.NewClient(t)
	temporal.On("SignalWithStartWorkflow", mock.Anything, "infrastructure/staging/users", workflows.SignalCommand, mock.Anything, mock.Anything,
		workflows.NameInfrastructure, workflows.InfrastructureInput{Scope: users}).
		Run(func(arguments mock.Arguments) {
			signals = append(signals, arguments.Get(3).(schemas.CommandReference))
			options = append(options, arguments.Get(4).(client.StartWorkflowOptions))
		}).Return(nil, nil).Twice()
	s := &starter{temporal: temporal, records: d.records}
	require.NoError(t, s.Start(t.Context(), command))
	require.Equal(t, "infrastructure/staging/users", options[0].ID)
	require.Equal(t, TaskQueue, options[0].TaskQueue)
	environment, _ := options[0].TypedSearchAttributes.GetKeyword(workflows.AttributeEnvironment)
	require.Equal(t, "staging", environment)

	d.deployed(users, false)
	require.NoError(t, s.Start(t.Context(), command))
	known := command
	known.LastRevision = 1
	require.Equal(t, []schemas.CommandReference{command, known}, signals, "the revision that records know does not go along")
}

func TestTroubleWithTemporalIsPassedOn(t *testing.T) {
	d := openDesk(t, nil)
	away := errors.New("the server is away")
	temporal := mocks.NewClient(t)
	temporal.On("SignalWithStartWorkflow", mock.Anything, mock.Anything, mock.Anything, mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(nil, away)
	require.ErrorIs(t, (&starter{temporal: temporal, records: d.records}).Start(t.Context(), schemas.CommandReference{Scope: users}), away)
}
