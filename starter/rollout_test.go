package starter

import (
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/stretchr/testify/require"

	"windlass/schemas"
)

// canaryRecord is a rollout that waits to be promoted.
func canaryRecord(now time.Time) schemas.RolloutRecord {
	weight := 50
	return schemas.RolloutRecord{
		RolloutStatus: schemas.RolloutStatus{
			Scope: users, Revision: 9, Resource: "users", Strategy: schemas.StrategyCanary, Phase: schemas.RolloutHolding, Step: 1, Steps: 2, Weight: &weight,
			Message: "1 of 2 replicas serve, 2 of other versions are there; waits until it is promoted",
			Sets: []schemas.RolloutSet{
				{Role: schemas.RolloutTarget, Version: "9e5e4d5f", Revision: 9, Image: "users:1.1.0", Declared: 2, There: 2, Available: 1, Serving: 1,
					Replicas: []schemas.RolloutReplica{{Index: 0, State: "serving"}, {Index: 1, State: "failed"}}},
				{Role: schemas.RolloutStable, Version: "4ea4f81f", Revision: 5, Image: "users:1.0.0", Declared: 2, There: 2, Available: 2, Serving: 2,
					Replicas: []schemas.RolloutReplica{{Index: 0, State: "serving"}, {Index: 1, State: "draining"}}},
			},
		},
		Started: now.Add(-90 * time.Second), Since: now.Add(-time.Second), Sequence: "1",
	}
}

func TestARolloutIsDrawnAsATree(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	requireGolden(t, "rollout-holding", drawn(rolloutLines(canaryRecord(now), now), 0))

	failed := canaryRecord(now)
	failure := unhealthy()
	failed.Phase, failed.Error, failed.Weight = schemas.RolloutRolledBack, &failure, nil
	requireGolden(t, "rollout-rolled-back", drawn(rolloutLines(failed, now), 0))

	late := canaryRecord(now)
	late.Phase, late.Deadline, late.Steps = schemas.RolloutProgressing, now.Add(42*time.Second), 0
	require.Contains(t, drawn(rolloutLines(late, now), 0), "fails in 42s unless a replica becomes available")
	late.Paused = true
	require.NotContains(t, drawn(rolloutLines(late, now), 0), "fails in")
}

func TestRolloutStatusShowsTheNewestOfEachCompute(t *testing.T) {
	t.Parallel()
	w := startWorker(t, nil)
	status := usersStatus()
	w.know(status)
	p := ran(t, ExitNotFound, w.url, "rollout", "status", "staging/users", "users")
	require.Contains(t, p.stderr.String(), "no rollout of staging/users/users is known")

	status.Rollouts = []schemas.RolloutRecord{canaryRecord(time.Now())}
	w.know(status)
	p = ran(t, ExitDone, w.url, "rollout", "status", "staging/users")
	require.Contains(t, p.stdout.String(), "users  Canary to revision 9  Holding")
	ran(t, ExitNotFound, w.url, "rollout", "status", "staging/users", "users-db")
	p = ran(t, ExitDone, w.url, "rollout", "status", "staging/users", "-o", "json")
	lines := jsonOutputOf(t, p, "rollout.status")
	require.Equal(t, "Holding", lines[1]["phase"])
}

func TestOrdersToARolloutAreSent(t *testing.T) {
	t.Parallel()
	for verb, want := range map[string]struct{ eventType, data string }{
		"pause":   {schemas.CommandRolloutPause, `{"environment":"staging","infrastructure":"users","resource":"web","reason":"why"}`},
		"resume":  {schemas.CommandRolloutResume, `{"environment":"staging","infrastructure":"users","resource":"web","reason":"why"}`},
		"promote": {schemas.CommandRolloutPromote, `{"environment":"staging","infrastructure":"users","resource":"web","reason":"why","all":true}`},
		"abort":   {schemas.CommandRolloutAbort, `{"environment":"staging","infrastructure":"users","resource":"web","reason":"why"}`},
	} {
		t.Run(verb, func(t *testing.T) {
			t.Parallel()
			w := startWorker(t, func(command event.Event) []schemas.Event {
				return []schemas.Event{{
					ID: "1", Source: schemas.CommandSource(users), Type: schemas.StatusCommandAccepted, Time: time.Now(), Subject: users.String(), Sequence: "1",
					CausationID: command.ID(), Command: &schemas.CommandStatus{Scope: users, CommandType: command.Type()},
				}}
			})
			arguments := []string{"rollout", verb, "staging/users", "web", "--reason", "why", "--wait"}
			if verb == "promote" {
				arguments = append(arguments, "--all")
			}
			p := ran(t, ExitDone, w.url, arguments...)
			require.Contains(t, p.stdout.String(), "command accepted")
			command := <-w.commands
			require.Equal(t, want.eventType, command.Type())
			require.JSONEq(t, want.data, string(command.Data()))
		})
	}
}
