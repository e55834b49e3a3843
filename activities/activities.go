package activities

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/worker"

	"windlass/events"
	"windlass/plan"
	"windlass/schemas"
	"windlass/schemas/quantity"
)

// Activities are the side effects that workflows ask for. One value serves all
// workflows of a worker.
type Activities struct {
	Planner   *Planner
	Revisions *events.Revisions
	Publisher *events.Publisher
	Records   *events.Records
	JetStream jetstream.JetStream
	Watches   Watches
	// Approvals are the environments in which every plan has to be approved.
	Approvals []string
	Vault     *Vault
	Logger    *slog.Logger
}

// Providers are the places that resources can be in, by name.
type Providers map[string]Provider

// Get returns the provider of that name; the error is a *Fault of kind Invalid.
func (p Providers) Get(name string) (Provider, error) {
	if provider, ok := p[name]; ok {
		return provider, nil
	}
	return nil, &Fault{
		Kind: Invalid, Field: "provider",
		Message: fmt.Sprintf("the worker has no provider %q; it has %s", name, strings.Join(slices.Sorted(maps.Keys(p)), ", ")),
		Hint:    "use one that `windlass providers` lists, or add it to the workers' file of providers",
	}
}

// Register makes the activities known to a worker under their names.
func (a *Activities) Register(r worker.ActivityRegistry) {
	for name, function := range map[string]any{
		NamePlan: a.Plan, NamePull: a.Pull, NameApply: a.Apply,
		NameDelete: a.Delete, NameBatch: a.Batch, NamePublish: a.Publish, NameReject: a.Reject, NameUnprotect: a.Unprotect, NameScale: a.Scale,
		NameDrift: a.Drift, NameWatch: a.Watch, NameResync: a.Resync,
		NameSurvey: a.Survey, NameStart: a.StartReplica, NameAwait: a.AwaitReplica, NameOversee: a.OverseeReplicas,
		NameRoute: a.RouteReplicas, NameDrain: a.DrainReplica, NameRemove: a.RemoveReplica, NameSetAside: a.SetAsideReplica,
		NameAnalyse: a.AnalyseReplicas, NameSettle: a.SettleReplicas,
		NameLookUpVersions: a.LookUpVersions, NameDeclareVersion: a.DeclareVersion,
		NameInspectReplicas: a.InspectReplicas, NameFinishRollout: a.FinishRollout,
		NameCreateContainer: a.CreateContainer, NameStartContainer: a.StartContainer, NameStopContainer: a.StopContainer,
		NamePauseContainer: a.PauseContainer, NameResumeContainer: a.ResumeContainer,
	} {
		r.RegisterActivityWithOptions(function, activity.RegisterOptions{Name: name})
	}
}

// RegisterWatches makes the activities known that last as long as what they watch.
func (a *Activities) RegisterWatches(r worker.ActivityRegistry) {
	r.RegisterActivityWithOptions(a.WatchContainer, activity.RegisterOptions{Name: NameWatchContainer})
	r.RegisterActivityWithOptions(a.WatchExchange, activity.RegisterOptions{Name: NameWatchExchange})
}

// Plan observes reality and decides what takes it to the revision.
func (a *Activities) Plan(ctx context.Context, in PlanInput) (PlanOutput, error) {
	defer startPulse(ctx, "observing").stop()
	out, err := a.plan(ctx, in)
	return out, a.failed(ctx, in.Revision, NewSecretsNone(), err)
}

func (a *Activities) plan(ctx context.Context, in PlanInput) (PlanOutput, error) {
	document, err := a.document(ctx, in.Revision)
	if err != nil {
		return PlanOutput{}, err
	}
	desired, err := Declare(document, in.Revision.Number, a.Planner.Providers)
	if err != nil {
		return PlanOutput{}, err
	}
	p, found, err := a.Planner.plan(ctx, in.Scope, desired, in.Rollback)
	if err != nil {
		return PlanOutput{}, err
	}
	partial := false
	if !in.Rollback {
		request, err := a.request(ctx, in.Revision)
		if err != nil {
			return PlanOutput{}, err
		}
		p, partial = p.Restrict(request.Targets)
		if err := a.permit(ctx, in, request, desired, p); err != nil {
			return PlanOutput{}, err
		}
	}
	if err := a.Planner.settle(ctx, in.Scope, found, desired); err != nil {
		return PlanOutput{}, err
	}
	for i := range p.Operations {
		p.Operations[i].Changes = nil // the cause tells them; history stays small
	}
	out := PlanOutput{Operations: p.Operations, Summary: p.String(), Resources: map[string][]string{}, OnFailure: schemas.OnFailureKeep, Partial: partial}
	if document != nil {
		out.OnFailure, out.Drift = document.Spec.OnFailure, document.Spec.Drift
	}
	if out.Approval, err = a.needsApproval(ctx, in, document); err != nil {
		return PlanOutput{}, err
	}
	if out.Approval {
		if out.Fingerprint, err = p.Fingerprint(); err != nil {
			return PlanOutput{}, err
		}
	}
	for _, d := range desired {
		out.Resources[d.Resource] = d.DependsOn
	}
	out.Pulls, err = a.pulls(in, p.Operations, desired)
	return out, err
}

// needsApproval says whether somebody has to approve the plan: since the worker
// demands it for the environment, or the document, or the one that is destroyed.
func (a *Activities) needsApproval(ctx context.Context, in PlanInput, document *schemas.Infrastructure) (bool, error) {
	if slices.Contains(a.Approvals, in.Scope.Environment) {
		return true, nil
	}
	if document == nil {
		var err error
		document, err = a.document(ctx, in.Stable)
		// Where the document is lost, destroying is still possible.
		if document == nil || IsKind(err, NotFound) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
	return document.Spec.Approval == schemas.ApprovalRequired, nil
}

// request reads what a revision was asked for with; one that destroys has nothing.
func (a *Activities) request(ctx context.Context, r Revision) (schemas.DeploymentRequested, error) {
	if r.Reference == "" {
		return schemas.DeploymentRequested{}, nil
	}
	revision, err := a.Revisions.Get(ctx, r.Reference)
	if err != nil {
		return schemas.DeploymentRequested{}, &Fault{Kind: Unavailable, Message: err.Error(), Err: err}
	}
	request, err := revision.Request()
	if err != nil {
		return request, &Fault{Kind: Invalid, Field: "data", Message: err.Error(), Err: err}
	}
	return request, nil
}

// permit refuses a plan that is not to be run, and records what one that is to be
// run protects. The way back is not refused: it leaves what is protected.
func (a *Activities) permit(ctx context.Context, in PlanInput, request schemas.DeploymentRequested, desired []plan.Desired, p plan.Plan) error {
	if err := requirePlan(in.Revision, request, p); err != nil {
		return err
	}
	if err := requireUnprotected(in.Scope, p); err != nil {
		return err
	}
	return a.protect(ctx, in, desired)
}

// pulls lists the images of what is created or updated, each once per provider.
func (a *Activities) pulls(in PlanInput, operations []schemas.Operation, desired []plan.Desired) ([]PullInput, error) {
	moving, rolls := map[string]bool{}, map[string]bool{}
	for _, o := range operations {
		if o.Action == schemas.ActionCreate || o.Action == schemas.ActionUpdate {
			moving[o.Resource], rolls[o.Resource] = true, o.Rollout != ""
		}
	}
	var pulls []PullInput
	listed := map[string]bool{}
	for _, d := range desired {
		if !moving[d.Resource] {
			continue
		}
		images, err := a.Planner.Providers[d.Provider].Images(d)
		if err != nil {
			return nil, err
		}
		for _, image := range images {
			if key := d.Provider + " " + image.Reference; !listed[key] {
				listed[key] = true
				pull := PullInput{Scope: in.Scope, Revision: in.Revision, Resource: d.Resource, Image: image.Reference}
				if rolls[d.Resource] {
					pull.Timeout = quantity.Duration(d.RolloutStrategy().ProgressDeadlineSeconds) * quantity.Duration(time.Second)
				}
				pulls = append(pulls, pull)
			}
		}
	}
	return pulls, nil
}

// document reads what a revision declares; nil declares nothing at all.
func (a *Activities) document(ctx context.Context, r Revision) (*schemas.Infrastructure, error) {
	if r.Reference == "" {
		return nil, nil
	}
	revision, err := a.Revisions.Get(ctx, r.Reference)
	if errors.Is(err, events.ErrNoRevision) {
		return nil, &Fault{Kind: NotFound, Message: err.Error(), Hint: "publish the deployment again", Err: err}
	}
	if err != nil {
		return nil, &Fault{Kind: Unavailable, Message: err.Error(), Err: err}
	}
	return revision.Infrastructure, nil
}

// desired returns the resources of a revision that have one of the names.
func (a *Activities) desired(ctx context.Context, r Revision, names ...string) ([]plan.Desired, error) {
	document, err := a.document(ctx, r)
	if document == nil || err != nil {
		return nil, err
	}
	return declareSome(document, r.Number, a.Planner.Providers, names)
}

// declared returns one resource of a revision, with its provider.
func (a *Activities) declared(ctx context.Context, r Revision, name string) (plan.Desired, Provider, error) {
	found, err := a.desired(ctx, r, name)
	if err != nil {
		return plan.Desired{}, nil, err
	}
	if len(found) == 0 {
		return plan.Desired{}, nil, &Fault{Kind: NotFound, Resource: name, Message: fmt.Sprintf("is not declared in revision %d", r.Number)}
	}
	return found[0], a.Planner.Providers[found[0].Provider], nil
}

// Pull makes one image available.
func (a *Activities) Pull(ctx context.Context, in PullInput) error {
	p := startPulse(ctx, "pulling "+in.Image)
	defer p.stop()
	secrets := a.Vault.Open(in.Scope)
	return a.failed(ctx, in.Revision, secrets, a.pull(ctx, in, secrets, p.progress))
}

func (a *Activities) pull(ctx context.Context, in PullInput, secrets Secrets, progress Progress) error {
	desired, provider, err := a.declared(ctx, in.Revision, in.Resource)
	if err != nil {
		return err
	}
	images, err := provider.Images(desired)
	if err != nil {
		return err
	}
	for _, image := range images {
		if image.Reference != in.Image {
			continue
		}
		if err := provider.Pull(ctx, image, secrets, progress); err != nil {
			return at(err, in.Resource, image.Field)
		}
		return nil
	}
	return &Fault{Kind: NotFound, Resource: in.Resource, Message: fmt.Sprintf("does not run image %s", in.Image)}
}

// Apply makes one resource as its revision declares it.
func (a *Activities) Apply(ctx context.Context, in ApplyInput) (ApplyOutput, error) {
	p := startPulse(ctx, "applying "+in.Resource)
	defer p.stop()
	secrets := a.Vault.Open(in.Scope)
	desired, provider, err := a.declared(ctx, in.Revision, in.Resource)
	if err != nil {
		return ApplyOutput{}, a.failed(ctx, in.Revision, secrets, err)
	}
	outputs, err := provider.Apply(ctx, desired, secrets, p.progress)
	return ApplyOutput{Outputs: outputs}, a.failed(ctx, in.Revision, secrets, at(err, in.Resource, ""))
}

// Delete removes one resource.
func (a *Activities) Delete(ctx context.Context, in DeleteInput) error {
	p := startPulse(ctx, "deleting "+in.Resource)
	defer p.stop()
	provider, err := a.Planner.Providers.Get(in.Provider)
	if err == nil {
		target := plan.Target{Scope: in.Scope, Resource: in.Resource, Type: in.Type, Provider: in.Provider}
		err = provider.Delete(ctx, target, p.progress)
	}
	return a.failed(ctx, Revision{}, NewSecretsNone(), at(err, in.Resource, ""))
}

// Publish publishes status events and brings the records up to date. Its retry
// repeats events with the same ids, which JetStream drops.
func (a *Activities) Publish(ctx context.Context, in PublishInput) error {
	if err := a.Publisher.Publish(ctx, in.Events); err != nil {
		return err
	}
	return a.leave(ctx, in.Events)
}

// Reject keeps a command that turned out to be unservable as a dead letter.
func (a *Activities) Reject(ctx context.Context, in RejectInput) error {
	revision, err := a.Revisions.Get(ctx, in.Command.Revision)
	if err != nil {
		return err
	}
	return revision.DeadLetter(ctx, a.JetStream, in.Command, in.Faults)
}
