package activities

import (
	"context"
	"fmt"

	"windlass/plan"
	"windlass/schemas"
)

// containerWork is what the activities of a container have in common.
type containerWork struct {
	ctx     context.Context
	desired plan.Desired
	runtime ContainerRuntime
	secrets Secrets
	pulse   *pulse
}

// withContainer calls work with the container as it is declared.
func (a *Activities) withContainer(ctx context.Context, in ContainerInput, doing string, work func(containerWork) error) error {
	name := in.Scope.Infrastructure
	p := startPulse(ctx, doing+" "+name)
	defer p.stop()
	secrets := a.Vault.Open(in.Scope)
	desired, runtime, err := a.container(ctx, in.Revision, name)
	if err == nil {
		err = work(containerWork{ctx, desired, runtime, secrets, p})
	}
	return a.failed(ctx, in.Revision, secrets, at(err, name, ""))
}

// container is a container as a revision declares it, with what runs it.
func (a *Activities) container(ctx context.Context, r Revision, name string) (plan.Desired, ContainerRuntime, error) {
	desired, provider, err := a.declared(ctx, r, name)
	if err != nil {
		return desired, nil, err
	}
	runtime, ok := provider.(ContainerRuntime)
	if !ok {
		err = &Fault{Kind: Invalid, Field: "provider", Message: fmt.Sprintf("provider %q does not run single containers", desired.Provider)}
	}
	return desired, runtime, err
}

// containerMove is a method of ContainerRuntime that leaves the container in a condition.
type containerMove = func(context.Context, plan.Desired, Secrets, Progress) (ContainerCondition, error)

func (a *Activities) moveContainer(ctx context.Context, in ContainerInput, doing string, method func(ContainerRuntime) containerMove) (ContainerOutput, error) {
	var out ContainerOutput
	err := a.withContainer(ctx, in, doing, func(w containerWork) (err error) {
		out.Condition, err = method(w.runtime)(w.ctx, w.desired, w.secrets, w.pulse.progress)
		return err
	})
	return out, err
}

// CreateContainer pulls what the container runs, and makes it.
func (a *Activities) CreateContainer(ctx context.Context, in ContainerInput) (ContainerOutput, error) {
	var out ContainerOutput
	err := a.withContainer(ctx, in, "creating", func(w containerWork) error {
		images, err := w.runtime.Images(w.desired)
		if err != nil {
			return err
		}
		for _, image := range images {
			if err := w.runtime.Pull(w.ctx, image, w.secrets, w.pulse.progress); err != nil {
				return at(w.missing(image, err), w.desired.Resource, image.Field)
			}
		}
		out.Condition, err = w.runtime.CreateContainer(w.ctx, w.desired, w.secrets, w.pulse.progress)
		return err
	})
	return out, err
}

// missing names the tags that there are to the fault of an image that there is not.
func (w containerWork) missing(image Image, err error) error {
	if !IsKind(err, NotFound) {
		return err
	}
	tags, listing := w.runtime.Tags(w.ctx, image, w.secrets)
	if listing != nil || len(tags) == 0 {
		return err // what there is instead is of no importance
	}
	return withTags(err, tags)
}

// StartContainer has the container run.
func (a *Activities) StartContainer(ctx context.Context, in ContainerInput) (ContainerOutput, error) {
	return a.moveContainer(ctx, in, "starting", func(r ContainerRuntime) containerMove { return r.StartContainer })
}

// StopContainer ends the container and keeps it.
func (a *Activities) StopContainer(ctx context.Context, in ContainerInput) (ContainerOutput, error) {
	return a.moveContainer(ctx, in, "stopping", func(r ContainerRuntime) containerMove { return r.StopContainer })
}

// PauseContainer freezes the container.
func (a *Activities) PauseContainer(ctx context.Context, in ContainerInput) (ContainerOutput, error) {
	return a.moveContainer(ctx, in, "pausing", func(r ContainerRuntime) containerMove { return r.PauseContainer })
}

// ResumeContainer has a container go on that was paused.
func (a *Activities) ResumeContainer(ctx context.Context, in ContainerInput) (ContainerOutput, error) {
	return a.moveContainer(ctx, in, "resuming", func(r ContainerRuntime) containerMove { return r.ResumeContainer })
}

// WatchContainer returns as soon as the container is not as it was known to be.
func (a *Activities) WatchContainer(ctx context.Context, in ContainerInput) (ContainerOutput, error) {
	var out ContainerOutput
	err := a.withContainer(ctx, in, "watching", func(w containerWork) error {
		report, err := w.runtime.WatchContainer(w.ctx, w.desired, in.Known, w.secrets, w.pulse.progress)
		if err != nil {
			return err
		}
		out.Condition, out.ExitCode = report.Condition, report.ExitCode
		if report.Fault != nil {
			failure, _ := a.classify(ctx, in.Revision, w.secrets, at(report.Fault, in.Scope.Infrastructure, ""))
			out.Failure = &failure
		}
		return nil
	})
	return out, err
}

// ContainerLogs reads what a container has written. It is no activity: a worker
// answers questions with it.
func (a *Activities) ContainerLogs(ctx context.Context, r Revision, request schemas.LogsRequest) (schemas.LogsAnswer, error) {
	desired, runtime, err := a.container(ctx, r, request.Container)
	if err != nil {
		return schemas.LogsAnswer{}, err
	}
	secrets := a.Vault.Open(schemas.ContainerScope(request.Environment, request.Container))
	return runtime.ContainerLogs(ctx, desired, request, secrets)
}
