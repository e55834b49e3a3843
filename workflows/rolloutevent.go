package workflows

import (
	"fmt"

	"go.temporal.io/sdk/workflow"

	"windlass/schemas"
)

// listedReplicas bounds the replicas that a rollout's events and the web UI list.
const listedReplicas = 100

// tellProgress tells where the rollout stands, when that has changed.
func (r *rolling) tellProgress(ctx workflow.Context) {
	if r.State.Done() {
		return
	}
	s := r.State.Status()
	shown := fmt.Sprint(s.Phase, s.Paused, s.Step, s.Message)
	if s.Weight != nil {
		shown += fmt.Sprintf(" %d%%", *s.Weight)
	}
	for _, set := range s.Sets {
		shown += fmt.Sprint(" ", set.There, set.Available, set.Serving)
	}
	if shown == r.shown {
		return
	}
	r.shown = shown
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
