package activities

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"windlass/plan"
	"windlass/schemas"
)

func batchOf(b *bench, operations ...schemas.Operation) BatchInput {
	return BatchInput{Scope: users, Revision: b.revision(document), Operations: operations}
}

func operation(action schemas.Action, resource string, kind schemas.ResourceType) schemas.Operation {
	return schemas.Operation{ID: string(action) + " " + resource, Action: action, Resource: resource, Type: kind, Provider: "docker"}
}

func TestABatchTellsHowEachOperationEnded(t *testing.T) {
	b := newBench(t, "")
	b.provider.apply = func(_ context.Context, d plan.Desired, _ Secrets, _ Progress) error {
		if d.Resource == "web" {
			return &Fault{Kind: Conflict, Field: "properties.ports", Message: "the port is taken"}
		}
		return nil
	}
	in := batchOf(b, operation(schemas.ActionCreate, "backend", schemas.TypeNetwork), operation(schemas.ActionUpdate, "web", schemas.TypeCompute),
		operation(schemas.ActionDelete, "old", schemas.TypeStorage))
	value, err := b.run(NameBatch, in)
	require.NoError(t, err)
	var out BatchOutput
	require.NoError(t, value.Get(&out))
	require.Equal(t, "users-backend", out.Results[0].Outputs["name"])
	require.Equal(t, "the port is taken", out.Results[1].Failure.Message)
	require.Equal(t, "web", out.Results[1].Failure.Resource)
	require.Contains(t, out.Results[1].Failure.Field, "spec.resources[")
	require.Equal(t, BatchResult{}, out.Results[2])
	require.Equal(t, "old", b.provider.deleted[0].Resource)
}

func TestABatchIsTriedAgainWhenThatCanHelp(t *testing.T) {
	b := newBench(t, "")
	b.provider.apply = func(context.Context, plan.Desired, Secrets, Progress) error {
		return &Fault{Kind: Unavailable, Message: "the engine does not answer"}
	}
	failure, err := b.failure(NameBatch, batchOf(b, operation(schemas.ActionCreate, "backend", schemas.TypeNetwork)))
	require.Equal(t, string(Unavailable), failure.Kind)
	var application *temporal.ApplicationError
	require.ErrorAs(t, err, &application)
	require.False(t, application.NonRetryable())
}
