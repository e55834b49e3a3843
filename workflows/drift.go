package workflows

import (
	"github.com/google/uuid"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"windlass/activities"
	"windlass/schemas"
)

// Drift asks an Infrastructure to look for drift. A schedule starts it; the
// Infrastructure does the looking, since it knows what runs.
func Drift(ctx workflow.Context, in DriftInput) error {
	return workflow.SignalExternalWorkflow(ctx, InfrastructureID(in.Scope), "", SignalDrift, nil).Get(ctx, nil)
}

// look holds reality against the stable revision, tells what has drifted and what
// has come back, and puts it back where that is asked for. Nothing is looked at
// while a deployment runs: it knows better. Nor is anything after one that left
// something out: what is different then was wanted so.
func (i *infrastructure) look(ctx workflow.Context, commands workflow.ReceiveChannel) {
	if i.Watch == nil || i.Stable.Number == 0 || i.Partial {
		return
	}
	options := operationOptions(ctx, planTimeout, "look for drift of "+i.Scope.String())
	// An engine that is away must not hold up the next command; the next look comes.
	options = workflow.WithRetryPolicy(options, temporal.RetryPolicy{MaximumAttempts: 1})
	var out activities.DriftOutput
	in := activities.DriftInput{Scope: i.Scope, Revision: i.Stable}
	if err := workflow.ExecuteActivity(options, activities.NameDrift, in).Get(ctx, &out); err != nil {
		workflow.GetLogger(ctx).Warn("drift cannot be seen", "error", err)
		return
	}
	before, changed := i.Drifted, false
	i.Drifted = map[string]string{}
	for _, status := range out.Resources {
		i.Drifted[status.Resource] = status.Cause
		if before[status.Resource] != status.Cause {
			i.tellDrift(ctx, schemas.StatusResourceDrifted, status)
			changed = true
		}
	}
	for _, name := range workflow.DeterministicKeys(before) {
		if _, still := i.Drifted[name]; !still {
			i.tellDrift(ctx, schemas.StatusResourceReady, schemas.ResourceStatus{Scope: i.Scope, Revision: i.Stable.Number, Resource: name, Cause: "is as declared again"})
			changed = true
		}
	}
	// What a former attempt did not mend, another one would not either.
	if i.Watch.SelfHeal && len(i.Drifted) > 0 && changed && commands.Len() == 0 {
		i.heal(ctx, commands)
	}
}

// heal deploys the stable revision again.
func (i *infrastructure) heal(ctx workflow.Context, commands workflow.ReceiveChannel) {
	drifted, revision := i.Drifted, i.Revision+1
	id := uuid.NewSHA1(uuid.NameSpaceURL, []byte(schemas.DeploymentSource(i.Scope, revision)+"/heal")).String()
	i.run(ctx, DeployInput{
		Command: schemas.CommandReference{
			Scope: i.Scope, Type: schemas.CommandDeploymentRequested, ID: id, Source: "/windlass/" + i.Scope.String() + "/drift", Revision: i.Stable.Reference,
		},
		Revision: activities.Revision{Number: revision, Reference: i.Stable.Reference},
		Stable:   i.Stable, Heal: true,
	}, commands)
	if i.Status != StatusReady {
		i.Drifted = drifted
	}
}

// tellDrift orders the events between those of the newest deployment and those of
// the next one.
func (i *infrastructure) tellDrift(ctx workflow.Context, eventType string, status schemas.ResourceStatus) {
	const first = 50_000_000
	i.Looks++
	i.outbox.add(ctx, schemas.Event{
		Type: eventType, Source: schemas.ResourceSource(i.Scope, status.Resource), Subject: status.Resource,
		Sequence:      schemas.DeploymentSequence(i.Revision, first+i.Looks),
		CorrelationID: DeployID(i.Scope, i.Stable.Number), Resource: &status,
	})
}
