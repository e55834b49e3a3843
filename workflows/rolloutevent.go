package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/workflow"

	"windlass/schemas"
)

// listedReplicas bounds the replicas that a rollout's events and the web UI list.
const listedReplicas = 100

// progressInterval lies at least between two events that tell the progress of
// replicas: each costs the rollout some of its pace.
const progressInterval = 500 * time.Millisecond

// progress is where a rollout stands, in words that change with it: the turn that it
// has taken, and the replicas.
type progress struct{ turn, replicas string }

// tellProgress tells where the rollout stands, when that has changed: a turn at once,
// replicas not too often.
func (r *rolling) tellProgress(ctx workflow.Context) {
	if r.State.Done() {
		return
	}
	s := r.State.Status()
	now := progress{turn: fmt.Sprint(s.Phase, s.Paused, s.Step, s.Error != nil), replicas: s.Message}
	if s.Weight != nil {
		now.turn += fmt.Sprintf(" %d%%", *s.Weight)
	}
	for _, set := range s.Sets {
		now.replicas += fmt.Sprint(" ", set.There, set.Available, set.Serving)
	}
	next := r.toldAt.Add(progressInterval)
	switch {
	case now == r.shown:
		r.due = time.Time{}
		return
	case now.turn == r.shown.turn && workflow.Now(ctx).Before(next):
		r.due = next
		return
	}
	r.shown, r.toldAt, r.due = now, workflow.Now(ctx), time.Time{}
	r.tell(ctx, schemas.StatusRolloutProgressed, "")
}

// tell publishes an event of the rollout.
func (r *rolling) tell(ctx workflow.Context, eventType, by string) {
	status := r.State.Status()
	status.Scope, status.Resource, status.Revision, status.By = r.Command.Scope, r.Resource, r.Deployment, by
	listed := 0
	for _, set := range status.Sets {
		listed += len(set.Replicas)
	}
	if listed > listedReplicas {
		for i := range status.Sets {
			status.Sets[i].Replicas = nil
		}
	}
	r.Told++
	r.outbox.add(ctx, schemas.Event{
		Type: eventType, Source: schemas.RolloutSource(r.Command.Scope, r.Resource), Subject: r.Resource,
		Sequence:      schemas.DeploymentSequence(r.Deployment, r.Told),
		CorrelationID: workflow.GetInfo(ctx).WorkflowExecution.ID, CausationID: r.Command.ID, TraceParent: r.Command.TraceParent,
		Rollout: &status,
	})
	workflow.SetCurrentDetails(ctx, rolloutDetails(status))
}

// rolloutDetails is what the web UI shows of a rollout.
func rolloutDetails(s schemas.RolloutStatus) string {
	phase := string(s.Phase)
	if s.Paused {
		phase = "Paused"
	}
	text := fmt.Sprintf("**%s of %s to revision %d: %s**\n\n%s\n", s.Strategy, s.Resource, s.Revision, phase, s.Message)
	if s.Steps > 0 {
		text += fmt.Sprintf("\nStep %d of %d\n", min(s.Step+1, s.Steps), s.Steps)
	}
	if s.Weight != nil {
		text += fmt.Sprintf("\n%d%% of the requests go to the new version\n", *s.Weight)
	}
	if s.Error != nil {
		text += fmt.Sprintf("\nReason: %.500s\n", s.Error.Message)
	}
	for _, set := range s.Sets {
		text += fmt.Sprintf("\n- %s version %s (revision %d, %s): %d declared, %d there, %d available, %d serving", set.Role, set.Version, set.Revision, set.Image, set.Declared, set.There, set.Available, set.Serving)
		for _, replica := range set.Replicas {
			text += fmt.Sprintf("\n  - replica %d: %s", replica.Index, replica.State)
		}
	}
	return text
}
