package activities

import (
	"fmt"

	"windlass/plan"
	"windlass/schemas"
)

// requirePlan refuses to run another plan than the one that the command asks for,
// if it asks for one.
func requirePlan(r Revision, request schemas.DeploymentRequested, p plan.Plan) error {
	if request.Plan == nil {
		return nil
	}
	stale := func(reason string) error {
		return &Fault{Kind: Invalid, Field: "data.plan", Message: "the plan is stale: " + reason, Hint: "plan again, and deploy that plan"}
	}
	if base := r.Number - 1; request.Plan.Revision != base {
		return stale(fmt.Sprintf("it was made at revision %d, and now is revision %d", request.Plan.Revision, base))
	}
	fingerprint, err := p.Fingerprint()
	if err != nil {
		return err
	}
	if fingerprint != request.Plan.Fingerprint {
		return stale("what runs has changed, so that other operations are needed now: " + p.String())
	}
	return nil
}
