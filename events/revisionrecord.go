package events

import (
	"cmp"
	"context"
	"slices"
	"strconv"

	"windlass/schemas"
)

// revisionKey is the key of the record of a revision. Its two tokens after the
// scope keep it apart from the records of resources, which have one.
func revisionKey(scope schemas.Scope, revision int) string {
	return scopeTokens(scope) + ".revisions." + strconv.Itoa(revision)
}

// Revisions returns the records of the revisions of one Infrastructure, the newest
// first.
func (r *Records) Revisions(ctx context.Context, scope schemas.Scope) ([]schemas.RevisionRecord, error) {
	records, err := list[schemas.RevisionRecord](ctx, r.bucket, scopeTokens(scope)+".revisions.*")
	slices.SortFunc(records, func(a, b schemas.RevisionRecord) int { return cmp.Compare(b.Revision, a.Revision) })
	return records, err
}

// Revision returns the record of one revision, or nil.
func (r *Records) Revision(ctx context.Context, scope schemas.Scope, revision int) (*schemas.RevisionRecord, error) {
	record, _, err := get[schemas.RevisionRecord](ctx, r.bucket, revisionKey(scope, revision))
	return record, err
}

func revisionRecord(old *schemas.RevisionRecord, e schemas.Event) *schemas.RevisionRecord {
	d := e.Deployment
	next := schemas.RevisionRecord{Scope: d.Scope, Revision: d.Revision, Destroy: d.Destroy, Command: e.CausationID, Started: e.Time}
	if old != nil {
		if e.Sequence <= old.Sequence {
			return nil
		}
		next = *old
	}
	next.State, next.Error, next.Sequence = stateAfter(e), d.Error, e.Sequence
	if d.Document != "" {
		next.Document = d.Document
	}
	if d.Final {
		next.Ended = e.Time
	}
	return &next
}
