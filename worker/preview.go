package worker

import (
	"context"
	"errors"

	"windlass/activities"
	"windlass/schemas"
)

// plan answers what a command would do now.
func (q *queries) plan(ctx context.Context, data []byte) (any, error) {
	var request schemas.PlanRequest
	if err := read(data, &request); err != nil {
		return nil, err
	}
	scope := request.Scope
	var document *schemas.Infrastructure
	if request.Document != "" {
		var err error
		if document, err = schemas.Parse([]byte(request.Document), request.Parameters); err != nil {
			return nil, &failure{400, err.Error()}
		}
		scope = document.Scope()
	}
	record, err := q.records.Infrastructure(ctx, scope)
	if err != nil {
		return nil, err
	}
	answer := schemas.PlanAnswer{Scope: scope}
	if record != nil {
		answer.Revision = record.Revision
	}
	plan, err := q.planner.Preview(ctx, scope, document)
	var fault *activities.Fault
	if errors.As(err, &fault) && fault.Kind == activities.Invalid {
		return nil, &failure{400, err.Error()}
	}
	if err != nil {
		return nil, err
	}
	plan, _ = plan.Restrict(request.Targets)
	answer.Operations, answer.Summary = plan.Operations, plan.String()
	answer.Fingerprint, err = plan.Fingerprint()
	return answer, err
}
