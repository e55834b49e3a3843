package starter

import (
	"slices"
	"strings"
	"time"

	"windlass/schemas"
)

// fleet is what is known of all Infrastructures: one line each.
type fleet struct {
	trees map[schemas.Scope]*tree
}

func newFleet() *fleet { return &fleet{trees: map[schemas.Scope]*tree{}} }

// seed fills the fleet with the Infrastructures that a worker knows.
func (f *fleet) seed(answer schemas.ListAnswer) {
	for _, record := range answer.Infrastructures {
		f.tree(record.Scope, record.Since).seed(schemas.StatusAnswer{Infrastructure: record})
	}
}

func (f *fleet) tree(scope schemas.Scope, began time.Time) *tree {
	t := f.trees[scope]
	if t == nil {
		t = newTree(scope, began)
		f.trees[scope] = t
	}
	return t
}

func (f *fleet) apply(e schemas.Event) {
	if aboutContainer(e) {
		return
	}
	if scope, ok := e.Scope(); ok {
		f.tree(scope, e.Time).apply(e)
	}
}

// aboutContainer says whether an event is about a single container, which is no
// Infrastructure, though it may be named like one.
func aboutContainer(e schemas.Event) bool {
	return e.Container != nil || e.Command != nil && schemas.IsContainerCommand(e.Command.CommandType)
}

func (f *fleet) failuresOf(e schemas.Event) []schemas.Failure {
	scope, _ := e.Scope()
	if t := f.trees[scope]; t != nil {
		return t.failures
	}
	return nil
}

// render draws the Infrastructures in the order of their names; those that do
// not fit are left out at the end.
func (f *fleet) render(now time.Time, height int) []line {
	if len(f.trees) == 0 {
		return []line{{{"no Infrastructure yet", dim}}}
	}
	scopes, width := f.scopes(), 0
	for _, scope := range scopes {
		width = max(width, len(scope.String()))
	}
	var lines []line
	for _, scope := range scopes {
		lines = append(lines, f.trees[scope].summary(now, width))
	}
	return bound(lines, height)
}

func (f *fleet) scopes() []schemas.Scope {
	scopes := make([]schemas.Scope, 0, len(f.trees))
	for scope := range f.trees {
		scopes = append(scopes, scope)
	}
	slices.SortFunc(scopes, func(a, b schemas.Scope) int { return strings.Compare(a.String(), b.String()) })
	return scopes
}

// summary is the header of a tree with what moves in it.
func (t *tree) summary(now time.Time, width int) line {
	l := t.header(now, width)
	var moving []string
	for _, r := range t.rows {
		if r.state.Moving() {
			moving = append(moving, string(r.state)+" "+r.name)
		}
	}
	switch {
	case len(moving) > 0:
		l = append(l, span{"  " + strings.Join(moving, ", "), cyan})
	case len(t.failures) > 0:
		f := t.failures[0]
		l = append(l, span{"  " + f.Resource + detail(printable(f.Message)), red})
	}
	return l
}
