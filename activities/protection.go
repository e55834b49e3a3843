package activities

import (
	"context"
	"fmt"
	"strings"

	"windlass/plan"
	"windlass/schemas"
)

// requireUnprotected refuses a plan that asks for the end of something protected.
func requireUnprotected(scope schemas.Scope, p plan.Plan) error {
	kept := p.Protected()
	if len(kept) == 0 {
		return nil
	}
	names := make([]string, len(kept))
	for i, o := range kept {
		names[i] = o.Resource
	}
	fault := &Fault{
		Kind: Protected, Resource: kept[0].Resource, Field: "spec.resources",
		Message: fmt.Sprintf("%s %s; nothing was changed", names[0], kept[0].Cause),
		Hint:    fmt.Sprintf("leave it as it is, or lift the protection with: windlass unprotect %s %s", scope, strings.Join(names, " ")),
	}
	if len(names) > 1 {
		fault.Message = fmt.Sprintf("%s %s; protected are also %s; nothing was changed", names[0], kept[0].Cause, strings.Join(names[1:], ", "))
	}
	return fault
}

// protect records what the revision protects.
func (a *Activities) protect(ctx context.Context, in PlanInput, desired []plan.Desired) error {
	for _, d := range desired {
		if !d.Protect {
			continue
		}
		record := schemas.ProtectionRecord{Scope: in.Scope, Resource: d.Resource, Protected: true, Revision: in.Revision.Number}
		if err := a.Planner.Protections.Set(ctx, record); err != nil {
			return &Fault{Kind: Unavailable, Resource: d.Resource, Message: err.Error(), Err: err}
		}
	}
	return nil
}

// Unprotect lifts the protection of the resources that a command names. It fails,
// and lifts nothing, when one of them is not protected.
func (a *Activities) Unprotect(ctx context.Context, in UnprotectInput) (UnprotectOutput, error) {
	out, err := a.unprotect(ctx, in)
	return out, a.failed(ctx, Revision{}, NewSecretsNone(), err)
}

func (a *Activities) unprotect(ctx context.Context, in UnprotectInput) (UnprotectOutput, error) {
	revision, err := a.stored(ctx, in.Command.Revision, "the command is not stored any more", "send it again")
	if err != nil {
		return UnprotectOutput{}, err
	}
	command, err := revision.Command()
	if err != nil {
		return UnprotectOutput{}, refused(err)
	}
	s, err := a.Planner.observe(ctx, in.Command.Scope, nil)
	if err != nil {
		return UnprotectOutput{}, err
	}
	found := map[string]plan.Observed{}
	for _, o := range s.observed {
		if o.Protected {
			found[o.Resource] = o
		}
	}
	recorded, err := a.Planner.Protections.Of(ctx, in.Command.Scope)
	if err != nil {
		return UnprotectOutput{}, &Fault{Kind: Unavailable, Message: err.Error(), Err: err}
	}
	var out UnprotectOutput
	for i, name := range command.Resources {
		o, there := found[name]
		// One whose protection is lifted already, perhaps by a former attempt, is known.
		if _, known := recorded[name]; !there && !known {
			return UnprotectOutput{}, &Fault{Kind: NotFound, Field: fmt.Sprintf("data.resources[%d]", i), Message: fmt.Sprintf("%q is no protected resource of %s", name, in.Command.Scope), Hint: "see: windlass status " + in.Command.Scope.String()}
		}
		out.Resources = append(out.Resources, schemas.ResourceStatus{Scope: in.Command.Scope, Resource: name, Type: o.Type, Provider: o.Provider, Cause: command.Reason})
	}
	for _, name := range command.Resources {
		record := schemas.ProtectionRecord{Scope: in.Command.Scope, Resource: name, Command: in.Command.ID, Reason: command.Reason}
		if err := a.Planner.Protections.Set(ctx, record); err != nil {
			return UnprotectOutput{}, &Fault{Kind: Unavailable, Resource: name, Message: err.Error(), Err: err}
		}
	}
	return out, nil
}
