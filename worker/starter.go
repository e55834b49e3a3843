package worker

import (
	"context"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"windlass/events"
	"windlass/schemas"
	"windlass/workflows"
)

var _ events.Starter = (*starter)(nil)

// starter hands commands to the workflow of what they address, which it starts when it
// is not running.
type starter struct {
	temporal client.Client
	records  *events.Records
}

// Start implements events.Starter. A command that comes twice is signalled twice;
// the workflow knows it by its key.
func (s *starter) Start(ctx context.Context, command schemas.CommandReference) error {
	if schemas.IsContainerCommand(command.Type) {
		return s.startContainer(ctx, command)
	}
	record, err := s.records.Infrastructure(ctx, command.Scope)
	if err != nil {
		return err
	}
	if record != nil {
		command.LastRevision = record.Revision
	}
	id := workflows.InfrastructureID(command.Scope)
	options := client.StartWorkflowOptions{
		ID:            id,
		TaskQueue:     TaskQueue,
		StaticSummary: "Infrastructure " + command.Scope.String(),
		StaticDetails: "The lock, the queue and the memory of one Infrastructure. Deployments run as its children.",
		TypedSearchAttributes: temporal.NewSearchAttributes(
			workflows.AttributeEnvironment.ValueSet(command.Environment),
			workflows.AttributeInfrastructure.ValueSet(command.Infrastructure),
		),
	}
	_, err = s.temporal.SignalWithStartWorkflow(ctx, id, workflows.SignalCommand, command, options,
		workflows.NameInfrastructure, workflows.InfrastructureInput{Scope: command.Scope})
	return err
}

func (s *starter) startContainer(ctx context.Context, command schemas.CommandReference) error {
	id := workflows.ContainerID(command.Scope)
	options := client.StartWorkflowOptions{
		ID:                    id,
		TaskQueue:             TaskQueue,
		StaticSummary:         "Container " + command.Scope.String(),
		StaticDetails:         "The life cycle of one container, from the first command that runs it to its removal.",
		TypedSearchAttributes: temporal.NewSearchAttributes(workflows.AttributeEnvironment.ValueSet(command.Environment)),
	}
	_, err := s.temporal.SignalWithStartWorkflow(ctx, id, workflows.SignalCommand, command, options,
		workflows.NameContainer, workflows.ContainerInput{Scope: command.Scope})
	return err
}
