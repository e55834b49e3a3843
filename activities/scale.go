package activities

import (
	"context"
	"errors"

	"windlass/events"
	"windlass/schemas"
)

// Scale stores the document of a revision with another number of replicas of a Compute,
// for a deployment. What the command asks for in vain is told by its fields.
func (a *Activities) Scale(ctx context.Context, in ScaleInput) (ScaleOutput, error) {
	reference, err := a.scale(ctx, in)
	return ScaleOutput{Reference: reference}, a.failed(ctx, Revision{}, NewSecretsNone(), err)
}

func (a *Activities) scale(ctx context.Context, in ScaleInput) (string, error) {
	asked, err := a.stored(ctx, in.Command.Revision, "the command is not stored any more", "send it again")
	if err != nil {
		return "", err
	}
	command, err := asked.Command()
	if err != nil {
		return "", refused(err)
	}
	of, err := a.stored(ctx, in.Of.Reference, "the document of the stable revision is not stored any more", "deploy it again")
	if err != nil {
		return "", err
	}
	scaled, err := of.Infrastructure.Scaled(command.Resource, command.Replicas)
	if err != nil {
		return "", refused(err)
	}
	next, err := asked.Redeployment(scaled)
	if err != nil {
		return "", refused(err)
	}
	reference, err := a.Revisions.Put(ctx, next)
	if err != nil {
		return "", &Fault{Kind: Unavailable, Message: err.Error(), Err: err}
	}
	return reference, nil
}

// stored reads what was accepted.
func (a *Activities) stored(ctx context.Context, reference, missing, hint string) (*events.Revision, error) {
	revision, err := a.Revisions.Get(ctx, reference)
	if errors.Is(err, events.ErrNoRevision) {
		return nil, &Fault{Kind: NotFound, Field: "data", Message: missing, Hint: hint, Err: err}
	}
	if err != nil {
		return nil, &Fault{Kind: Unavailable, Message: err.Error(), Err: err}
	}
	return revision, nil
}

// refused is the fault of a command that asks for what cannot be.
func refused(err error) error {
	fault := &Fault{Kind: Invalid, Field: "data", Message: err.Error(), Err: err}
	var faults schemas.Faults
	if errors.As(err, &faults) {
		fault.Field, fault.Message = faults[0].Field, faults[0].Reason
	}
	return fault
}
