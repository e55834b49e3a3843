package plan

import (
	"fmt"
	"slices"
	"strings"

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
	needed := d.neededByProtected(observed)
	for _, o := range observed {
		if !d.isDeclared(o) {
			d.remove(o, needed[o.Resource])
		}
	}
	return Plan{Operations: order(d.operations, d.dependencies(), d.usage(observed), d.names(observed))}
}

type differ struct {
	desired    map[string]Desired
	observed   map[string][]Observed
	operations map[string]schemas.Operation
	applied    map[string]string // resource to the id of the operation that leaves it there
}

// add completes an operation on the target and returns its id.
func (d *differ) add(o schemas.Operation, target Target) string {
	o.ID = operationID(o.Action, target)
	o.Resource, o.Type, o.Provider = target.Resource, target.Type, target.Provider
	d.operations[o.ID] = o
	return o.ID
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
	o := schemas.Operation{Action: schemas.ActionCreate, Cause: "is declared and not there"}
	if r.Adopts != "" {
		o.Adopted, o.Cause = true, r.Adopts+" is there"
	}
	if found := slices.IndexFunc(d.observed[r.Resource], func(o Observed) bool { return o.Target == r.Target }); found >= 0 {
		o = r.compareWith(d.observed[r.Resource][found])
	}
	o.Timeout = r.Timeouts.Of(o.Action)
	if o.Action.Moves() {
		o.Unused = r.Unused
	}
	d.applied[r.Resource] = d.add(o, r.Target)
}

// compareWith decides what makes of what is there what is declared.
func (d Desired) compareWith(found Observed) schemas.Operation {
	switch {
	case found.SpecHash != d.SpecHash && found.SpecHash != "":
		o := schemas.Operation{Action: schemas.ActionUpdate, Cause: fmt.Sprintf("its declaration differs from that of revision %d", found.Revision)}
		if o.Changes = d.changesSince(found); len(o.Changes) > 0 {
			o.Cause = inWords(o.Changes)
		}
		switch {
		case d.replaces(o.Changes) && found.Protected:
			o.Action, o.Protected = schemas.ActionRetain, true
			o.Cause += ", which would replace it, but is protected"
		case d.replaces(o.Changes):
			o.Action = schemas.ActionReplace
		default:
			d.rollOut(&o, found)
		}
		return o
	case found.State != StateReady || found.SpecHash == "":
		o := schemas.Operation{Action: schemas.ActionUpdate, Cause: found.Reason}
		d.rollOut(&o, found)
		return o
	}
	return schemas.Operation{Action: schemas.ActionNone, Cause: "is as declared"}
}

// replaces says whether one of the changes cannot be made in place. Where nobody knows
// what changes, it is taken to be one that can.
func (d Desired) replaces(changes []schemas.Change) bool {
	return slices.ContainsFunc(d.ReplaceOn, func(property string) bool {
		return property == AnyProperty || slices.ContainsFunc(changes, func(c schemas.Change) bool {
			rest, ok := strings.CutPrefix(c.Path, property)
			return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
		})
	})
}

// rollOut has a rollout make the update, where replicas of other versions give way and
// can be there at the same time.
func (d Desired) rollOut(o *schemas.Operation, found Observed) {
	other := func(r Replica) bool { return r.SpecHash != d.SpecHash }
	if d.Rolls && slices.ContainsFunc(found.Replicas, other) {
		o.Rollout, o.Supervised = d.RolloutStrategy().Type, d.Supervised
	}
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

// remove decides what becomes of something that is not declared. A protected
// resource that needs it keeps it too.
func (d *differ) remove(found Observed, neededBy string) {
	cause := "is no longer declared"
	if r, ok := d.desired[found.Resource]; ok {
		cause = fmt.Sprintf("is declared as %s of provider %s now", r.Type, r.Provider)
	}
	o := schemas.Operation{Action: schemas.ActionRetain}
	switch {
	case found.Protected:
		o.Protected, o.Cause = true, cause+", but is protected"
	case neededBy != "":
		o.Cause = fmt.Sprintf("%s, but %s, which is protected, needs it", cause, neededBy)
	case found.Retained:
		o.Cause = cause + ", and was made to be retained"
	default:
		o.Action, o.Cause, o.Timeout = schemas.ActionDelete, cause, found.DeleteTimeout
		if found.Adopted != "" {
			o.Adopted, o.Cause = true, fmt.Sprintf("%s; %s stays", cause, found.Adopted)
		}
	}
	d.add(o, found.Target)
}

// neededByProtected maps the resources that protected ones need, directly or not,
// to the first by name that needs them and is no longer declared itself.
func (d *differ) neededByProtected(observed []Observed) map[string]string {
	neededBy := map[string]string{}
	for _, o := range observed {
		if !o.Protected || d.isDeclared(o) {
			continue
		}
		for name := range d.needs(o.Resource) {
			if user, ok := neededBy[name]; !ok || o.Resource < user {
				neededBy[name] = o.Resource
			}
		}
	}
	return neededBy
}

// needs are the resources that one of that name depends on, directly or not, as
// the objects say.
func (d *differ) needs(name string) map[string]bool {
	found := map[string]bool{}
	var visit func(name string)
	visit = func(name string) {
		for _, o := range d.observed[name] {
			for _, used := range o.DependsOn {
				if !found[used] {
					found[used] = true
					visit(used)
				}
			}
		}
	}
	visit(name)
	return found
}

// edge says that operation comes after another one.
type edge struct{ operation, after string }

// dependencies follow from what is declared, and are free of cycles.
func (d *differ) dependencies() []edge {
	var edges []edge
	for name, r := range d.desired {
		for _, dependency := range r.DependsOn {
			if id, ok := d.applied[dependency]; ok {
				edges = append(edges, edge{d.applied[name], id})
			}
		}
	}
	return edges
}

// usage says that what is deleted goes after everything that used it is gone or has
// moved on. It comes from what objects of different revisions say, so that it can
// contradict itself.
func (d *differ) usage(observed []Observed) []edge {
	var edges []edge
	for _, user := range observed {
		operation, gone := d.deletion(user)
		if !gone && !d.isDeclared(user) {
			continue // it stays, with all that it needs
		}
		if !gone {
			operation = d.applied[user.Resource]
		}
		for _, used := range user.DependsOn {
			for _, o := range d.observed[used] {
				if deleted, ok := d.deletion(o); ok && deleted != operation {
					edges = append(edges, edge{deleted, operation})
				}
			}
		}
	}
	return edges
}

// names says that what takes the name of something of another type or place waits
// for its deletion, so that people never see two of one name. Nothing breaks when
// they do: objects of different types have different names.
func (d *differ) names(observed []Observed) []edge {
	var edges []edge
	for _, o := range observed {
		deleted, ok := d.deletion(o)
		if !ok {
			continue
		}
		if id, declared := d.applied[o.Resource]; declared {
			edges = append(edges, edge{id, deleted})
		}
	}
	return edges
}

func (d *differ) deletion(o Observed) (string, bool) {
	id := operationID(schemas.ActionDelete, o.Target)
	_, ok := d.operations[id]
	return id, ok
}
