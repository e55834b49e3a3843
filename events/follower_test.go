package events

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"windlass/schemas"
)

func (b *bus) follow(o FollowOptions) *Follower {
	b.t.Helper()
	f, err := Follow(b.context(), b.js, o)
	require.NoError(b.t, err)
	b.t.Cleanup(f.Close)
	return f
}

func (b *bus) next(f *Follower) Status {
	b.t.Helper()
	status, err := f.Next(b.context())
	require.NoError(b.t, err)
	return status
}

func TestAFollowerMissesNothingThatIsPublishedAfterFollow(t *testing.T) {
	b := startBus(t, nil)
	events := story()
	require.NoError(t, b.publisher.Publish(b.context(), events[:1]))
	f := b.follow(FollowOptions{})
	require.NoError(t, b.publisher.Publish(b.context(), events[1:]))
	for i, want := range events[1:] {
		status := b.next(f)
		require.Equal(t, want, status.Event)
		require.Equal(t, uint64(i+2), status.StreamSequence)
		require.Equal(t, b.message(StatusStream, status.StreamSequence).Data, status.Raw)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := f.Next(ctx)
	require.ErrorIs(t, err, context.Canceled, "an older event comes")
}

func TestAFollowerReadsWhatItIsAskedFor(t *testing.T) {
	b := startBus(t, nil)
	other := resourceEvent(schemas.StatusResourceReady, "backend", 1, schemas.ResourceStatus{})
	other.Resource.Scope = schemas.Scope{Environment: "production", Infrastructure: "users"}
	other.ID = "other"
	events := story()
	require.NoError(t, b.publisher.Publish(b.context(), append(events, other)))
	middle := b.message(StatusStream, 3).Time
	users := scopeNamed("users")
	tests := map[string]struct {
		options FollowOptions
		want    []string
	}{
		"everything":                   {FollowOptions{All: true}, []string{events[0].ID, events[1].ID, events[2].ID, events[3].ID, events[4].ID, "other"}},
		"one infrastructure":           {FollowOptions{All: true, Scope: &users}, []string{events[0].ID, events[1].ID, events[2].ID, events[3].ID, events[4].ID}},
		"two types":                    {FollowOptions{All: true, Types: []string{schemas.StatusResourceReady, schemas.StatusDeploymentStarted}}, []string{events[0].ID, events[3].ID, "other"}},
		"one type of an infrastucture": {FollowOptions{All: true, Scope: &users, Types: []string{schemas.StatusResourceReady}}, []string{events[3].ID}},
		"what came since":              {FollowOptions{Since: middle}, []string{events[2].ID, events[3].ID, events[4].ID, "other"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := b.follow(test.options)
			for i, id := range test.want {
				status := b.next(f)
				require.Equal(t, id, status.ID)
				require.Equal(t, uint64(len(test.want)-i-1), status.Pending)
			}
		})
	}
}

func TestAFollowerSkipsEventsOfANewerRelease(t *testing.T) {
	b := startBus(t, nil)
	f := b.follow(FollowOptions{})
	b.publish("windlass.status.staging.users.backup.done", nil, []byte(`{"specversion":"1.0","id":"a","source":"/b","type":"io.windlass.backup.done.v1","data":{}}`))
	require.NoError(t, b.publisher.Publish(b.context(), story()[:1]))
	require.Equal(t, schemas.StatusDeploymentStarted, b.next(f).Type)
}

func TestAFollowerGoesOnAfterTheServerRestarts(t *testing.T) {
	b := startBus(t, nil)
	f := b.follow(FollowOptions{})
	idle := b.follow(FollowOptions{})
	events := story()
	require.NoError(t, b.publisher.Publish(b.context(), events[:2]))
	require.Equal(t, events[0], b.next(f).Event)

	received := make(chan Status)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	go func() {
		defer close(received)
		for range events[1:] {
			status, err := f.Next(ctx)
			if err != nil {
				return
			}
			received <- status
		}
	}()
	require.Equal(t, events[1], (<-received).Event)
	b.restart()
	require.NoError(t, b.publisher.Publish(b.context(), events[2:4]))
	require.Equal(t, events[2], (<-received).Event)
	require.Equal(t, events[3], (<-received).Event)
	b.restart()
	require.NoError(t, b.publisher.Publish(b.context(), events[4:]))
	require.Equal(t, events[4], (<-received).Event)

	for _, want := range events {
		require.Equal(t, want, b.next(idle).Event, "a follower that read nothing before the restart")
	}
}

func TestFollowNeedsTheStreams(t *testing.T) {
	b := startBus(t, nil)
	require.NoError(t, b.js.DeleteStream(b.context(), StatusStream))
	for name, options := range map[string]FollowOptions{"new": {}, "all": {All: true}, "since": {Since: time.Now()}} {
		_, err := Follow(b.context(), b.js, options)
		require.ErrorIs(t, err, ErrNoStreams, name)
	}
}
