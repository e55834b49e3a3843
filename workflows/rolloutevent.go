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

// herald tells of one rollout.
type herald struct {
	*RolloutInput
	outbox *outbox
	// shown is what was told last, toldAt when, and due when what has changed since then
	// is to be told; zero is nothing.
	shown       progress
	toldAt, due time.Time
}

// tellProgress tells where the rollout stands, when that has changed: a turn at once,
// replicas not too often.
func (h *herald) tellProgress(ctx workflow.Context, s schemas.RolloutStatus) {
	if s.Phase.Final() {
		return
	}
	now := progress{turn: fmt.Sprint(s.Phase, s.Paused, s.Step, s.Error != nil), replicas: s.Message}
	if s.Weight != nil {
		now.turn += fmt.Sprintf(" %d%%", *s.Weight)
	}
	for _, set := range s.Sets {
		now.replicas += fmt.Sprint(" ", set.There, set.Available, set.Serving)
	}
	next := h.toldAt.Add(progressInterval)
	switch {
	case now == h.shown:
		h.due = time.Time{}
		return
	case now.turn == h.shown.turn && workflow.Now(ctx).Before(next):
		h.due = next
		return
	}
	h.shown, h.toldAt, h.due = now, workflow.Now(ctx), time.Time{}
	h.tell(ctx, s, schemas.StatusRolloutProgressed, "")
}

// tell publishes an event of the rollout.
func (h *herald) tell(ctx workflow.Context, status schemas.RolloutStatus, eventType, by string) {
	status.Scope, status.Resource, status.Revision, status.By = h.Command.Scope, h.Resource, h.Deployment, by
	listed := 0
	for _, set := range status.Sets {
		listed += len(set.Replicas)
	}
	if listed > listedReplicas {
		for i := range status.Sets {
			status.Sets[i].Replicas = nil
		}
	}
	h.Told++
	h.outbox.add(ctx, schemas.Event{
		Type: eventType, Source: schemas.RolloutSource(h.Command.Scope, h.Resource), Subject: h.Resource,
		Sequence:      schemas.DeploymentSequence(h.Deployment, h.Told),
		CorrelationID: workflow.GetInfo(ctx).WorkflowExecution.ID, CausationID: h.Command.ID, TraceParent: h.Command.TraceParent,
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
