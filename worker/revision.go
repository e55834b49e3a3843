package worker

import (
	"context"
	"errors"
	"fmt"

	"windlass/events"
	"windlass/schemas"
)

func (q *queries) allRevisions(ctx context.Context, data []byte) (any, error) {
	var request schemas.RevisionsRequest
	if err := read(data, &request); err != nil {
		return nil, err
	}
	records, err := q.records.Revisions(ctx, request.Scope)
	if err != nil {
		return nil, err
	}
	if len(records) == 0 {
		return nil, &failure{404, fmt.Sprintf("no revision of %s is known", request.Scope)}
	}
	return schemas.RevisionsAnswer{Revisions: records}, nil
}

func (q *queries) revision(ctx context.Context, data []byte) (any, error) {
	var request schemas.RevisionRequest
	if err := read(data, &request); err != nil {
		return nil, err
	}
	record, stored, err := q.stored(ctx, request.Scope, request.Revision)
	if err != nil {
		return nil, err
	}
	if record.Destroy {
		return nil, &failure{404, fmt.Sprintf("revision %d of %s destroyed everything and has no document", request.Revision, request.Scope)}
	}
	answer := schemas.RevisionAnswer{Record: record}
	if answer.Request, err = stored.Request(); err != nil {
		return nil, err
	}
	return answer, nil
}

func (q *queries) diff(ctx context.Context, data []byte) (any, error) {
	var request schemas.DiffRequest
	if err := read(data, &request); err != nil {
		return nil, err
	}
	_, from, err := q.stored(ctx, request.Scope, request.From)
	if err != nil {
		return nil, err
	}
	_, to, err := q.stored(ctx, request.Scope, request.To)
	if err != nil {
		return nil, err
	}
	plan, err := q.planner.Compare(from.Infrastructure, to.Infrastructure)
	if err != nil {
		return nil, err
	}
	return schemas.PlanAnswer{Scope: request.Scope, Revision: request.From, Operations: plan.Operations, Summary: plan.String()}, nil
}

// drift answers what would take reality back to the last stable revision.
func (q *queries) drift(ctx context.Context, data []byte) (any, error) {
	var request schemas.DriftRequest
	if err := read(data, &request); err != nil {
		return nil, err
	}
	record, err := q.records.Infrastructure(ctx, request.Scope)
	if err != nil {
		return nil, err
	}
	if record == nil || record.Stable == 0 {
		return nil, &failure{404, fmt.Sprintf("%s has no revision that succeeded, from which it could differ", request.Scope)}
	}
	_, stable, err := q.stored(ctx, request.Scope, record.Stable)
	if err != nil {
		return nil, err
	}
	plan, err := q.planner.Drift(ctx, request.Scope, stable.Infrastructure)
	if err != nil {
		return nil, err
	}
	return schemas.PlanAnswer{Scope: request.Scope, Revision: record.Stable, Operations: plan.Operations, Summary: plan.String()}, nil
}

// stored is a revision with its document; one that destroyed has an empty one.
func (q *queries) stored(ctx context.Context, scope schemas.Scope, number int) (schemas.RevisionRecord, *events.Revision, error) {
	record, err := q.records.Revision(ctx, scope, number)
	switch {
	case err != nil:
		return schemas.RevisionRecord{}, nil, err
	case record == nil:
		return schemas.RevisionRecord{}, nil, &failure{404, fmt.Sprintf("revision %d of %s is not known", number, scope)}
	case record.Destroy:
		return *record, &events.Revision{}, nil
	}
	revision, err := q.revisions.Get(ctx, record.Document)
	if errors.Is(err, events.ErrNoRevision) {
		return *record, nil, &failure{404, fmt.Sprintf("the document of revision %d of %s is gone", number, scope)}
	}
	return *record, revision, err
}
