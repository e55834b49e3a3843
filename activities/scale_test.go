package activities

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"windlass/events"
	"windlass/schemas"
)

// scaling asks for replicas of a Compute of a revision.
func (b *bench) scaling(of Revision, resource string, replicas int) (ScaleOutput, error) {
	b.t.Helper()
	e, err := events.NewCommand(schemas.CommandScaleRequested, schemas.ScaleRequested{Scope: users, Resource: resource, Replicas: replicas})
	require.NoError(b.t, err)
	body, err := json.Marshal(e)
	require.NoError(b.t, err)
	stored, err := b.Revisions.Put(b.t.Context(), events.Revision{Event: body})
	require.NoError(b.t, err)
	in := ScaleInput{Command: schemas.CommandReference{Scope: users, ID: e.ID(), Revision: stored}, Of: of}
	value, err := b.run(NameScale, in)
	var out ScaleOutput
	if err == nil {
		require.NoError(b.t, value.Get(&out))
		again, err := b.run(NameScale, in)
		require.NoError(b.t, err)
		var second ScaleOutput
		require.NoError(b.t, again.Get(&second))
		require.Equal(b.t, out, second, "a retry stores the same")
	}
	return out, err
}

func TestAScaledRevisionIsTheDocumentWithOtherReplicas(t *testing.T) {
	b := newBench(t, "")
	of := b.revision(document)
	out, err := b.scaling(of, "web", 5)
	require.NoError(t, err)
	before, err := b.Revisions.Get(t.Context(), of.Reference)
	require.NoError(t, err)
	after, err := b.Revisions.Get(t.Context(), out.Reference)
	require.NoError(t, err)
	web, err := schemas.Decode[schemas.Compute](*after.Infrastructure.Resource("web"))
	require.NoError(t, err)
	require.Equal(t, 5, *web.Replicas)
	scaled, err := before.Infrastructure.Scaled("web", 5)
	require.NoError(t, err)
	want, err := json.Marshal(scaled)
	require.NoError(t, err)
	got, err := json.Marshal(after.Infrastructure)
	require.NoError(t, err)
	require.JSONEq(t, string(want), string(got), "nothing else changes")
	request, err := after.Request()
	require.NoError(t, err)
	require.NotEmpty(t, request.Document, "it can be gone back to")
}

func TestWhatCannotBeScaledIsRefusedWithItsField(t *testing.T) {
	b := newBench(t, "")
	of := b.revision(document)
	_, err := b.scaling(of, "nothing", 5)
	failure := FailureOf(err)
	require.Equal(t, "data.resource", failure.Field)
	require.Contains(t, failure.Message, "is no Compute of staging/users")
	_, err = b.scaling(Revision{Number: 1, Reference: "gone"}, "web", 5)
	require.Contains(t, FailureOf(err).Message, "the document of the stable revision is not stored any more")
}
