package plan

import (
	"fmt"
	"slices"

	"windlass/schemas"
)

// Diff decides what has to happen. The declared resources may be in any order and
// must be free of cycles, which parsing guarantees.
func Diff(desired []Desired, observed []Observed) Plan {
	d := differ{desired: map[string]Desired{}, observed: map[string][]Observed{}, operations: map[string]schemas.Operation{}, applied: map[string]string{}}
	for _, r := range desired {
		d.desired[r.Resource] = r
	}
	for _, o := range observed {
		d.observed[o.Resource] = append(d.observed[o.Resource], o)
	}
	for _, r := range desired {
		d.declare(r)
	}
	for _, o := range observed {
		if !d.isDeclared(o) {
			d.remove(o)
		}
	}
	hard, soft := d.edges(observed)
	return Plan{Operations: order(d.operations, hard, soft)}
}

type differ struct {
	desired    map[string]Desired
	observed   map[string][]Observed
	operations map[string]schemas.Operation
	applied    map[string]string // resource to the id of the operation that leaves it there
}

func (d *differ) add(action schemas.Action, target Target, cause string) string {
	id := operationID(action, target)
	d.operations[id] = schemas.Operation{ID: id, Action: action, Resource: target.Resource, Type: target.Type, Provider: target.Provider, Cause: cause}
	return id
}

// operationID is unique in a plan: a name may be deleted in one type or place and
// created in another, but is declared only once.
func operationID(action schemas.Action, target Target) string {
	if action == schemas.ActionDelete || action == schemas.ActionRetain {
		return fmt.Sprintf("%s %s (%s, %s)", action, target.Resource, target.Type, target.Provider)
	}
	return string(action) + " " + target.Resource
}

func (d *differ) declare(r Desired) {
	found := slices.IndexFunc(d.observed[r.Resource], func(o Observed) bool { return o.Target == r.Target })
	action, cause := schemas.ActionCreate, "is declared and not there"
	var changes []schemas.Change
	if found >= 0 {
		o := d.observed[r.Resource][found]
		switch {
		case o.SpecHash != r.SpecHash && o.SpecHash != "":
			action, cause = schemas.ActionUpdate, fmt.Sprintf("its declaration differs from that of revision %d", o.Revision)
			if changes = r.changesSince(o); len(changes) > 0 {
				cause = inWords(changes)
			}
		case o.State != StateReady || o.SpecHash == "":
			action, cause = schemas.ActionUpdate, o.Reason
		default:
			action, cause = schemas.ActionNone, "is as declared"
		}
	}
	id := d.add(action, r.Target, cause)
	operation := d.operations[id]
	operation.Changes = changes
	d.operations[id] = operation
	d.applied[r.Resource] = id
}

// changesSince lists the fields that differ; none when the objects do not say how
// they were declared.
func (d Desired) changesSince(o Observed) []schemas.Change {
	if len(o.Properties) == 0 {
		return nil
	}
	changes, err := Changes(o.Properties, d.Properties)
	if err != nil {
		return nil // a label that somebody wrote by hand; the spec hash has decided already
	}
	return changes
}

func (d *differ) isDeclared(o Observed) bool {
	r, ok := d.desired[o.Resource]
	return ok && r.Target == o.Target
}

func (d *differ) remove(o Observed) {
	cause := "is no longer declared"
	if r, ok := d.desired[o.Resource]; ok {
		cause = fmt.Sprintf("is declared as %s of provider %s now", r.Type, r.Provider)
	}
	if o.Retained {
		d.add(schemas.ActionRetain, o.Target, cause+", and was made to be retained")
		return
	}
	d.add(schemas.ActionDelete, o.Target, cause)
}

// edge says that operation comes after another one.
type edge struct{ operation, after string }

// edges are the dependencies of the operations. Hard ones follow from what is
// declared and are free of cycles. Soft ones say that what is deleted goes after
// everything that used it is gone or has moved on; they come from what objects of
// different revisions say, so they can contradict each other.
func (d *differ) edges(observed []Observed) (hard, soft []edge) {
	for name, r := range d.desired {
		for _, dependency := range r.DependsOn {
			if id, ok := d.applied[dependency]; ok {
				hard = append(hard, edge{d.applied[name], id})
			}
		}
	}
	for _, o := range observed {
		deleted, ok := d.deletion(o)
		if !ok {
			continue
		}
		// What takes the name of something of another type or place waits for its deletion.
		if id, declared := d.applied[o.Resource]; declared {
			hard = append(hard, edge{id, deleted})
		}
	}
	for _, user := range observed {
		operation, gone := d.deletion(user)
		if !gone && user.Retained {
			continue // nothing of it uses anything
		}
		if !gone {
			operation = d.applied[user.Resource]
		}
		for _, used := range user.DependsOn {
			for _, o := range d.observed[used] {
				if deleted, ok := d.deletion(o); ok && deleted != operation {
					soft = append(soft, edge{deleted, operation})
				}
			}
		}
	}
	return hard, soft
}

func (d *differ) deletion(o Observed) (string, bool) {
	id := operationID(schemas.ActionDelete, o.Target)
	_, ok := d.operations[id]
	return id, ok
}
