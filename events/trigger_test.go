package events

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"windlass/schemas"
)

// recorder is a Starter that remembers what it started, and fails or waits on cue.
type recorder struct {
	mutex    sync.Mutex
	started  []schemas.CommandReference
	attempts map[string]int
	failing  map[string]bool
	gate     map[string]chan struct{}
}

func newRecorder() *recorder {
	return &recorder{attempts: map[string]int{}, failing: map[string]bool{}, gate: map[string]chan struct{}{}}
}

func (r *recorder) Start(ctx context.Context, command schemas.CommandReference) error {
	r.mutex.Lock()
	gate := r.gate[command.ID]
	r.attempts[command.ID]++
	r.mutex.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.failing[command.Infrastructure] {
		return errors.New("the server is away")
	}
	r.started = append(r.started, command)
	return nil
}

// ids are the ids of what was started for an Infrastructure, in order.
func (r *recorder) ids(infrastructure string) []string {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	var ids []string
	for _, c := range r.started {
		if infrastructure == "" || c.Infrastructure == infrastructure {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

func (r *recorder) tried(id string) int {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return r.attempts[id]
}

func (r *recorder) fail(infrastructure string, failing bool) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.failing[infrastructure] = failing
}

func (r *recorder) hold(id string) (release func()) {
	gate := make(chan struct{})
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.gate[id] = gate
	return func() { close(gate) }
}

// runTrigger runs a trigger until the returned function is called, which waits for
// its end.
func (b *bus) runTrigger(starter Starter) (stop func()) {
	b.t.Helper()
	trigger := NewTrigger(b.js, b.publisher, b.revisions, starter, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- trigger.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(b.t, <-ended)
	})
	b.t.Cleanup(stop)
	return stop
}

// served waits until every command that is stored was acknowledged.
func (b *bus) served() {
	b.t.Helper()
	newest := b.newest(CommandStream)
	eventually(b.t, func() bool {
		consumer, err := b.js.Consumer(b.context(), CommandStream, TriggerConsumer)
		return err == nil && consumer.CachedInfo().AckFloor.Stream >= newest
	}, "commands are not acknowledged")
}

func scopeNamed(infrastructure string) schemas.Scope {
	return schemas.Scope{Environment: "staging", Infrastructure: infrastructure}
}

// scopesInDifferentLanes are scopes of which no two wait for each other.
func scopesInDifferentLanes(n int) []schemas.Scope {
	var scopes []schemas.Scope
	taken := map[int]bool{}
	for i := 0; len(scopes) < n; i++ {
		scope := scopeNamed(fmt.Sprintf("infrastructure-%d", i))
		if lane := laneOf(CommandSubject(scope, schemas.CommandDeploymentRequested)); !taken[lane] {
			taken[lane] = true
			scopes = append(scopes, scope)
		}
	}
	return scopes
}

func TestCommandsOfOneInfrastructureStartInOrder(t *testing.T) {
	b := startBus(t, nil)
	want := map[string][]string{}
	for range 20 {
		for _, scope := range scopesInDifferentLanes(3) {
			want[scope.Infrastructure] = append(want[scope.Infrastructure], b.command(scope).ID())
		}
	}
	r := newRecorder()
	b.runTrigger(r)
	eventually(t, func() bool { return len(r.ids("")) == 60 }, "not every command started")
	for infrastructure, ids := range want {
		require.Equal(t, ids, r.ids(infrastructure))
	}
	b.served()
}

func TestACommandCarriesItsIdentityAndNoDocument(t *testing.T) {
	b := startBus(t, nil)
	r := newRecorder()
	b.runTrigger(r)
	scope := scopeNamed("users")
	e := deployment(t, scope)
	e.SetExtension("traceparent", "00-a-b-01")
	receipt, err := PublishCommand(b.context(), b.js, scope, e)
	require.NoError(t, err)
	b.served()

	require.Len(t, r.started, 1)
	command := r.started[0]
	revision, err := b.revisions.Get(b.context(), command.Revision)
	require.NoError(t, err)
	require.Equal(t, "backend", revision.Infrastructure.Spec.Resources[0].Name)
	require.WithinDuration(t, time.Now(), command.Time, patience)
	command.Time = time.Time{}
	require.Equal(t, schemas.CommandReference{
		Scope: scope, Type: schemas.CommandDeploymentRequested, Key: Key(e.Source(), e.ID()), Sequence: receipt.Sequence,
		ID: e.ID(), Source: e.Source(), TraceParent: "00-a-b-01", Revision: command.Revision,
	}, command)
}

func TestABinaryCommandStartsAndCanBeReadAgain(t *testing.T) {
	b := startBus(t, nil)
	r := newRecorder()
	b.runTrigger(r)
	header := nats.Header{
		"CE-SpecVersion": {"1.0"}, "CE-ID": {"a%20b"}, "CE-Source": {"/ci"}, "CE-Type": {schemas.CommandDeploymentRequested},
		"Content-Type": {"application/vnd.windlass+json"},
	}
	text := "apiVersion: windlass/v1\nkind: Infrastructure\nmetadata: {name: users}\nspec:\n  environment: staging\n  resources:\n    - name: backend\n      type: Network\n"
	b.publish("windlass.command.staging.users.deployment.requested", header, fmt.Appendf(nil, `{"document": %q}`, text))
	b.served()
	require.Equal(t, []string{"a b"}, r.ids("users"))
	revision, err := b.revisions.Get(b.context(), r.started[0].Revision)
	require.NoError(t, err)
	command, err := revision.Command()
	require.NoError(t, err)
	require.Equal(t, 7, command.Place("spec.resources[0].name").Line)
}

func TestInfrastructuresAreServedSideBySide(t *testing.T) {
	b := startBus(t, nil)
	r := newRecorder()
	scopes := scopesInDifferentLanes(4)
	first := b.command(scopes[0])
	second := b.command(scopes[0])
	release := r.hold(first.ID())
	b.runTrigger(r)
	for _, scope := range scopes[1:] {
		id := b.command(scope).ID()
		eventually(t, func() bool { return len(r.ids(scope.Infrastructure)) == 1 }, "%s waits for %s", scope, scopes[0])
		require.Equal(t, []string{id}, r.ids(scope.Infrastructure))
	}
	require.Empty(t, r.ids(scopes[0].Infrastructure))
	require.Zero(t, r.tried(second.ID()), "a later command overtakes")
	release()
	b.served()
	require.Equal(t, []string{first.ID(), second.ID()}, r.ids(scopes[0].Infrastructure))
}

func TestACommandWaitsForAStarterThatFailsForAWhile(t *testing.T) {
	b := startBus(t, nil)
	r := newRecorder()
	b.runTrigger(r)
	scopes := scopesInDifferentLanes(2)
	r.fail(scopes[0].Infrastructure, true)
	first := b.command(scopes[0])
	second := b.command(scopes[0])
	eventually(t, func() bool { return r.tried(first.ID()) >= 3 }, "the command is not tried again")
	require.Zero(t, r.tried(second.ID()), "a later command overtakes")
	other := b.command(scopes[1])
	eventually(t, func() bool { return len(r.ids(scopes[1].Infrastructure)) == 1 }, "another infrastructure waits")
	require.Equal(t, []string{other.ID()}, r.ids(scopes[1].Infrastructure))

	r.fail(scopes[0].Infrastructure, false)
	b.served()
	require.Equal(t, []string{first.ID(), second.ID()}, r.ids(scopes[0].Infrastructure))
	require.Empty(t, b.messages(DeadLetterStream), "trouble on the way is no fault of the command")
	require.Empty(t, b.statuses())
}

func TestATriggerThatStopsHandsBackWhatItFetched(t *testing.T) {
	b := startBus(t, nil)
	scope := scopeNamed("users")
	var ids []string
	for range 5 {
		ids = append(ids, b.command(scope).ID())
	}
	stuck := newRecorder()
	stuck.hold(ids[0])
	stop := b.runTrigger(stuck)
	eventually(t, func() bool { return stuck.tried(ids[0]) == 1 }, "the command is not tried")
	stop()
	eventually(t, func() bool {
		consumer, err := b.js.Consumer(b.context(), CommandStream, TriggerConsumer)
		return err == nil && consumer.CachedInfo().NumWaiting == 0
	}, "the trigger still asks for commands")

	r := newRecorder()
	b.runTrigger(r)
	b.served()
	require.Empty(t, stuck.ids(""))
	require.ElementsMatch(t, ids, r.ids(""))
}

func TestATriggerGoesOnAfterTheServerRestarts(t *testing.T) {
	b := startBus(t, nil)
	r := newRecorder()
	b.runTrigger(r)
	scopes := scopesInDifferentLanes(2)
	before := b.command(scopes[0])
	b.served()
	waiting := deployment(t, scopes[1])
	release := r.hold(waiting.ID())
	_, err := PublishCommand(b.context(), b.js, scopes[1], waiting)
	require.NoError(t, err)
	eventually(t, func() bool { return r.tried(waiting.ID()) == 1 }, "the command is not tried")
	b.restart()
	release()
	after := b.command(scopes[0])
	eventually(t, func() bool {
		return len(r.ids(scopes[0].Infrastructure)) >= 2 && len(r.ids(scopes[1].Infrastructure)) >= 1
	}, "commands wait")
	b.served()
	require.Equal(t, []string{before.ID(), after.ID()}, r.ids(scopes[0].Infrastructure))
	require.Contains(t, r.ids(scopes[1].Infrastructure), waiting.ID())
}

func TestTheSameCommandPublishedAgainIsDropped(t *testing.T) {
	b := startBus(t, nil)
	scope := scopeNamed("users")
	e := deployment(t, scope)
	for i := range 5 {
		receipt, err := PublishCommand(b.context(), b.js, scope, e)
		require.NoError(t, err)
		require.Equal(t, i > 0, receipt.Duplicate)
		b.restart()
	}
	require.Len(t, b.messages(CommandStream), 1)
}

func TestATriggerNeedsTheStreams(t *testing.T) {
	b := startBus(t, nil)
	require.NoError(t, b.js.DeleteStream(b.context(), CommandStream))
	trigger := NewTrigger(b.js, b.publisher, b.revisions, newRecorder(), slog.New(slog.DiscardHandler))
	require.ErrorIs(t, trigger.Run(b.context()), ErrNoStreams)
	_, err := PublishCommand(b.context(), b.js, scopeNamed("users"), deployment(t, scopeNamed("users")))
	require.ErrorIs(t, err, ErrNoStreams)
}
