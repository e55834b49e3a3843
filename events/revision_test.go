package events

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"windlass/schemas"
)

func revisionOf(t *testing.T, text string) Revision {
	t.Helper()
	_, data, err := Decode(nil, []byte(text))
	require.NoError(t, err)
	command, err := schemas.ParseCommand(schemas.CommandDeploymentRequested, data)
	require.NoError(t, err)
	return Revision{Event: []byte(text), Infrastructure: command.Infrastructure}
}

func TestTheSameContentHasTheSameReference(t *testing.T) {
	b := startBus(t, nil)
	one := revisionOf(t, deploymentOf(yamlOf("users", "staging", network)))
	two := revisionOf(t, deploymentOf(yamlOf("users", "staging", strings.ReplaceAll(network, "backend", "frontend"))))
	first, err := b.revisions.Put(b.context(), one)
	require.NoError(t, err)
	again, err := b.revisions.Put(b.context(), one)
	require.NoError(t, err)
	other, err := b.revisions.Put(b.context(), two)
	require.NoError(t, err)
	require.Equal(t, first, again)
	require.NotEqual(t, first, other)

	read, err := b.revisions.Get(b.context(), first)
	require.NoError(t, err)
	require.Equal(t, &one, read)
}

func TestARevisionKeepsTheLinesOfItsCommand(t *testing.T) {
	b := startBus(t, nil)
	text := `{
  "specversion": "1.0", "id": "a", "source": "/b", "type": "` + schemas.CommandDeploymentRequested + `",
  "data": {
    "document": {
      "apiVersion": "windlass/v1", "kind": "Infrastructure", "metadata": {"name": "users", "labels": {"team": "<a & b>"}},
      "spec": {
        "environment": "staging",
        "resources": [
          {"name": "backend", "type": "Network"}
        ]
      }
    }
  }
}`
	reference, err := b.revisions.Put(b.context(), revisionOf(t, text))
	require.NoError(t, err)
	revision, err := b.revisions.Get(b.context(), reference)
	require.NoError(t, err)
	require.Equal(t, text, string(revision.Event))
	command, err := revision.Command()
	require.NoError(t, err)
	require.Equal(t, schemas.Place{Line: 9, Column: 12}, command.Place("spec.resources[0].name"))
}

func TestAReferenceThatNamesNothingIsTold(t *testing.T) {
	b := startBus(t, nil)
	_, err := b.revisions.Get(b.context(), strings.Repeat("0", 64))
	require.ErrorIs(t, err, ErrNoRevision)
}

func TestABucketThatIsMissingIsTold(t *testing.T) {
	b := startBus(t, nil)
	require.NoError(t, b.js.DeleteKeyValue(b.context(), RevisionBucket))
	require.NoError(t, b.js.DeleteKeyValue(b.context(), RecordBucket))
	_, err := OpenRevisions(b.context(), b.js)
	require.ErrorIs(t, err, ErrNoStreams)
	_, err = OpenRecords(b.context(), b.js)
	require.ErrorIs(t, err, ErrNoStreams)
}

func TestAnAcceptedCommandCanBecomeADeadLetterOnce(t *testing.T) {
	b := startBus(t, nil)
	text := deploymentOf(yamlOf("users", "staging", network))
	revision := revisionOf(t, text)
	reference := schemas.CommandReference{Scope: scopeNamed("users"), Type: schemas.CommandDeploymentRequested, Key: Key("/test", "bad-1"), Sequence: 7}
	faults := schemas.Faults{{Field: "spec.resources[0].properties.image", Line: 9, Reason: "does not exist\n" + strings.Repeat("é", 2000)}}
	for range 3 {
		require.NoError(t, revision.DeadLetter(b.context(), b.js, reference, faults))
	}
	letters := b.messages(DeadLetterStream)
	require.Len(t, letters, 1)
	require.Equal(t, "windlass.deadletter.staging.users", letters[0].Subject)
	require.Equal(t, text, string(letters[0].Data))
	require.Equal(t, structuredType, letters[0].Header.Get("Content-Type"))
	require.Equal(t, usersSubject, letters[0].Header.Get(deadLetterSubject))
	require.Equal(t, "7", letters[0].Header.Get(deadLetterSequence))
	reason := letters[0].Header.Get(deadLetterReason)
	require.True(t, strings.HasPrefix(reason, "line 9: spec.resources[0].properties.image: does not exist é"))
	require.LessOrEqual(t, len(reason), 2051)

	another := reference
	another.Sequence = 8
	require.NoError(t, revision.DeadLetter(b.context(), b.js, another, faults))
	require.Len(t, b.messages(DeadLetterStream), 2, "the letter of another command with the same source and id is kept too")
}

func TestStreamsArePreparedBySeveralAtATime(t *testing.T) {
	b := startBus(t, nil)
	errs := make(chan error)
	for range 4 {
		go func() { errs <- EnsureStreams(t.Context(), b.js) }()
	}
	for range 4 {
		require.NoError(t, <-errs)
	}
}

func TestConnectFailsAtOnceWhereNothingAnswers(t *testing.T) {
	b := startBus(t, nil)
	url := b.server.ClientURL()
	b.stop()
	_, err := Connect(url, ConnectOptions{})
	require.ErrorContains(t, err, "connect to NATS at "+url)
}
