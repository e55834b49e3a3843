package plan

import (
	"slices"

	"windlass/schemas"
)

// Restrict leaves of a plan the operations on the targets and those that they depend
// on. The others move nothing; the flag says whether there are any that would have.
// No targets restrict nothing.
func (p Plan) Restrict(targets []string) (restricted Plan, partial bool) {
	if len(targets) == 0 {
		return p, false
	}
	wanted := map[string]bool{}
	for _, o := range p.Operations {
		if slices.Contains(targets, o.Resource) {
			wanted[o.ID] = true
		}
	}
	// Each operation comes after those that it depends on, so that one way back
	// through the list reaches them all.
	for _, o := range slices.Backward(p.Operations) {
		if wanted[o.ID] {
			for _, id := range o.DependsOn {
				wanted[id] = true
			}
		}
	}
	restricted.Operations = slices.Clone(p.Operations)
	for i, o := range restricted.Operations {
		if wanted[o.ID] || !o.Action.Moves() {
			continue
		}
		restricted.Operations[i].Action, restricted.Operations[i].Cause = schemas.ActionNone, "is not among the targets"
		restricted.Operations[i].Changes = nil
		partial = true
	}
	return restricted, partial
}
