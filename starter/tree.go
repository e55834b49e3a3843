package starter

import (
	"slices"
	"strings"
	"time"

	"windlass/schemas"
)

// waiting is the state of a resource whose operation has not begun.
const waiting schemas.ResourceState = "waiting"

// tree is what is known of one Infrastructure while it moves. It is fed with
// status events and holds no clock, so that equal events make equal trees.
type tree struct {
	scope    schemas.Scope
	revision int
	// state is a word or two for people; it is empty before the first event.
	state string
	// began and ended bound the deployment; ended is zero while it goes on.
	began, ended time.Time
	// deployment is the workflow ID of the deployment that is shown.
	deployment string
	destroy    bool
	// rollbackTo is set from the event that announces a rollback.
	rollbackTo *int
	unchanged  int
	rows       []*row
	failures   []schemas.Failure
	// final is the event that ended the deployment, or nil.
	final *schemas.Event
}

// row is one resource in the tree.
type row struct {
	name  string
	kind  schemas.ResourceType
	state schemas.ResourceState
	since time.Time
	cause string
	// needs names the resources whose operations must be done first.
	needs   []string
	failure *schemas.Failure
	// goal is the state that ends the row's operation.
	goal schemas.ResourceState
}

// done says that nothing has to wait for the row any more.
func (r *row) done() bool { return r.state == r.goal }

// newTree returns an empty tree of a command that was sent at began.
func newTree(scope schemas.Scope, began time.Time) *tree {
	return &tree{scope: scope, began: began}
}

// seed fills the tree with what a worker knows.
func (t *tree) seed(answer schemas.StatusAnswer) {
	record := answer.Infrastructure
	t.revision, t.state, t.deployment = record.Revision, infrastructureWords(record.State), record.Deployment
	t.began, t.ended = record.Since, record.Since
	switch record.State {
	case schemas.InfrastructureDeploying, schemas.InfrastructureRollingBack, schemas.InfrastructureDestroying:
		t.ended = time.Time{}
	}
	if record.Error != nil {
		t.fail(*record.Error)
	}
	for _, r := range answer.Resources {
		row := t.row(r.Resource)
		row.kind, row.state, row.since, row.cause = r.Type, r.State, r.Since, r.Cause
		row.needs, row.failure, row.goal = r.DependsOn, r.Error, schemas.ResourceReady
		if r.Error != nil {
			t.fail(*r.Error)
		}
	}
	t.sort()
}

// apply takes in the next status event of the Infrastructure.
func (t *tree) apply(e schemas.Event) {
	if aboutContainer(e) {
		return
	}
	if e.Time.Before(t.began) && t.ended.IsZero() {
		t.began = e.Time // the command was sent before, by somebody else
	}
	switch {
	case e.Command != nil:
		t.applyCommand(e)
	case e.Deployment != nil:
		t.applyDeployment(e)
	case e.Resource != nil:
		t.applyResource(e)
	case e.Rollout != nil:
		t.row(e.Rollout.Resource).cause = rolloutWords(*e.Rollout)
	}
}

func (t *tree) applyCommand(e schemas.Event) {
	switch e.Type {
	case schemas.StatusCommandAccepted:
		if e.Command.Revision == 0 { // no deployment: it has taken effect
			t.state, t.ended, t.final = "done", e.Time, &e
			return
		}
		if t.state == "" || t.final != nil {
			t.state = "accepted"
		}
		if t.revision == 0 {
			t.revision = e.Command.Revision
		}
	case schemas.StatusCommandRejected:
		t.final = &e
		if t.state == "" {
			t.state, t.ended = "rejected", e.Time
		}
	case schemas.StatusCommandSuperseded:
		t.final = &e
		if t.state == "" {
			t.state, t.ended = "superseded", e.Time
		}
	}
}

func (t *tree) applyDeployment(e schemas.Event) {
	d := e.Deployment
	if e.CorrelationID != t.deployment {
		t.restart(e)
	}
	t.revision, t.destroy = d.Revision, d.Destroy
	if d.Error != nil {
		t.fail(*d.Error)
	}
	switch e.Type {
	case schemas.StatusDeploymentPlanned:
		t.plan(e)
		if t.state == "" || t.state == "accepted" {
			t.state = "planned"
		}
	case schemas.StatusDeploymentStarted:
		t.state = "deploying"
		if d.Destroy {
			t.state = "destroying"
		}
	case schemas.StatusDeploymentSucceeded:
		t.state = "ready"
		if d.Destroy {
			t.state = "destroyed"
		}
	case schemas.StatusDeploymentFailed:
		t.state = "failed"
		if !d.Final {
			t.state, t.rollbackTo = "rolling back", d.RollbackTo
		}
	case schemas.StatusDeploymentRolledBack:
		t.state = "rolled back"
		if d.RollbackTo != nil {
			t.rollbackTo = d.RollbackTo
		}
	case schemas.StatusDeploymentPaused:
		t.state = "paused"
	case schemas.StatusDeploymentResumed:
		t.state = "deploying"
	case schemas.StatusDeploymentCancelled:
		t.state = "cancelled"
	}
	if d.Final {
		t.ended, t.final = e.Time, &e
	}
}

// restart begins the next deployment of a tree that outlives one.
func (t *tree) restart(e schemas.Event) {
	if t.deployment != "" {
		t.began, t.state = e.Time, ""
	}
	t.deployment = e.CorrelationID
	t.ended, t.final, t.rollbackTo, t.failures, t.unchanged = time.Time{}, nil, nil, nil, 0
	t.rows = slices.DeleteFunc(t.rows, func(r *row) bool { return r.state == schemas.ResourceDeleted })
	for _, r := range t.rows {
		r.failure = nil
	}
}

// plan makes a waiting row of every operation.
func (t *tree) plan(e schemas.Event) {
	operations := e.Deployment.Operations
	resources := make(map[string]string, len(operations))
	for _, o := range operations {
		resources[o.ID] = o.Resource
	}
	t.unchanged = e.Deployment.Unchanged
	for _, o := range operations {
		r := t.row(o.Resource)
		r.kind, r.cause, r.failure, r.needs = o.Type, o.Cause, nil, nil
		r.state, r.since, r.goal = waiting, e.Time, schemas.ResourceReady
		if o.Action == schemas.ActionDelete {
			r.goal = schemas.ResourceDeleted
		}
		for _, id := range o.DependsOn {
			if need := resources[id]; need != "" && need != o.Resource && !slices.Contains(r.needs, need) {
				r.needs = append(r.needs, need)
			}
		}
	}
	t.sort()
}

func (t *tree) applyResource(e schemas.Event) {
	s := e.Resource
	if e.Type == schemas.StatusResourceUnprotected {
		return // it did not move
	}
	r := t.row(s.Resource)
	if r.kind != "" && r.kind != s.Type && (e.Type == schemas.StatusResourceDeleting || e.Type == schemas.StatusResourceDeleted) {
		return // another type has the name now
	}
	r.kind, r.since, r.failure = s.Type, e.Time, s.Error
	if s.Cause != "" {
		r.cause = s.Cause
	}
	if r.needs == nil {
		r.needs = s.DependsOn
	}
	switch e.Type {
	case schemas.StatusResourceCreating:
		r.state, r.goal = schemas.ResourceCreating, schemas.ResourceReady
	case schemas.StatusResourceUpdating:
		r.state, r.goal = schemas.ResourceUpdating, schemas.ResourceReady
	case schemas.StatusResourceReplacing:
		r.state, r.goal = schemas.ResourceReplacing, schemas.ResourceReady
	case schemas.StatusResourceReady:
		r.state, r.goal = schemas.ResourceReady, schemas.ResourceReady
	case schemas.StatusResourceDeleting:
		r.state, r.goal = schemas.ResourceDeleting, schemas.ResourceDeleted
	case schemas.StatusResourceDeleted:
		r.state, r.goal = schemas.ResourceDeleted, schemas.ResourceDeleted
	case schemas.StatusResourceDrifted:
		r.state, r.goal = schemas.ResourceDrifted, schemas.ResourceReady
	case schemas.StatusResourceFailed:
		r.state = schemas.ResourceFailed
		if s.Error != nil {
			failure := *s.Error
			if failure.Resource == "" {
				failure.Resource = s.Resource
			}
			t.fail(failure)
		}
	}
}

// fail keeps a failure for the end. A deployment repeats the failure of the
// resource that broke it, so equal ones are kept once, with their evidence.
func (t *tree) fail(f schemas.Failure) {
	for n, known := range t.failures {
		if known.Resource == f.Resource && known.Message == f.Message {
			if known.Evidence == nil {
				t.failures[n] = f
			}
			return
		}
	}
	t.failures = append(t.failures, f)
}

func (t *tree) failuresOf(schemas.Event) []schemas.Failure { return t.failures }

// row returns the row of that resource and makes it when there is none.
func (t *tree) row(name string) *row {
	if r := t.find(name); r != nil {
		return r
	}
	r := &row{name: name, state: waiting}
	t.rows = append(t.rows, r)
	return r
}

func (t *tree) find(name string) *row {
	for _, r := range t.rows {
		if r.name == name {
			return r
		}
	}
	return nil
}

// blockers names what a waiting row waits for.
func (t *tree) blockers(r *row) []string {
	var names []string
	for _, need := range r.needs {
		if n := t.find(need); n != nil && !n.done() {
			names = append(names, need)
		}
	}
	return names
}

// sort puts every row below the rows that it needs and keeps the order otherwise.
func (t *tree) sort() {
	seen := make(map[string]bool, len(t.rows))
	sorted := make([]*row, 0, len(t.rows))
	var visit func(*row)
	visit = func(r *row) {
		if r == nil || seen[r.name] {
			return
		}
		seen[r.name] = true
		for _, need := range r.needs {
			visit(t.find(need))
		}
		sorted = append(sorted, r)
	}
	for _, r := range t.rows {
		visit(r)
	}
	t.rows = sorted
}

// infrastructureWords is the state of an Infrastructure for people.
func infrastructureWords(s schemas.InfrastructureState) string {
	switch s {
	case schemas.InfrastructureRollingBack:
		return "rolling back"
	case schemas.InfrastructureRolledBack:
		return "rolled back"
	}
	return strings.ToLower(string(s))
}
