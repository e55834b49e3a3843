package plan

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"windlass/schemas"
)

// order sets the dependencies of the operations and lists them so that each comes
// after its own, by id where the graph leaves a choice. Hard edges are free of
// cycles; a wished one that would close a cycle is left out, the earlier wishes
// going before the later ones.
func order(operations map[string]schemas.Operation, hard []edge, wishes ...[]edge) []schemas.Operation {
	g := graph{}
	for id := range operations {
		g[id] = nil
	}
	for _, e := range hard {
		g.add(e)
	}
	ids, _ := g.sorted()
	for _, wished := range wishes {
		ids = g.addAll(wished)
	}
	out := make([]schemas.Operation, len(ids))
	for i, id := range ids {
		o := operations[id]
		o.DependsOn = g[id]
		out[i] = o
	}
	return out
}

// addAll adds the edges that close no cycle, and returns the order after that.
func (g graph) addAll(edges []edge) []string {
	whole := g.clone()
	for _, e := range edges {
		whole.add(e)
	}
	if ids, acyclic := whole.sorted(); acyclic {
		maps.Copy(g, whole)
		return ids
	}
	slices.SortFunc(edges, func(a, b edge) int {
		return cmp.Or(strings.Compare(a.operation, b.operation), strings.Compare(a.after, b.after))
	})
	for _, e := range edges {
		if !g.reaches(e.after, e.operation) {
			g.add(e)
		}
	}
	ids, _ := g.sorted()
	return ids
}

// graph maps each operation to those that come before it, sorted.
type graph map[string][]string

func (g graph) add(e edge) {
	at, found := slices.BinarySearch(g[e.operation], e.after)
	if !found {
		g[e.operation] = slices.Insert(g[e.operation], at, e.after)
	}
}

func (g graph) clone() graph {
	c := maps.Clone(g)
	for id, after := range c {
		c[id] = slices.Clone(after)
	}
	return c
}

// sorted is a topological order; the flag says whether there is one.
func (g graph) sorted() ([]string, bool) {
	const visiting, visited = 1, 2
	state := map[string]int{}
	var out []string
	acyclic := true
	var visit func(id string)
	visit = func(id string) {
		switch state[id] {
		case visiting:
			acyclic = false
			return
		case visited:
			return
		}
		state[id] = visiting
		for _, before := range g[id] {
			visit(before)
		}
		state[id] = visited
		out = append(out, id)
	}
	for _, id := range slices.Sorted(maps.Keys(g)) {
		visit(id)
	}
	return out, acyclic
}

// reaches says whether from comes after to, directly or not.
func (g graph) reaches(from, to string) bool {
	seen := map[string]bool{}
	var visit func(id string) bool
	visit = func(id string) bool {
		if id == to {
			return true
		}
		if seen[id] {
			return false
		}
		seen[id] = true
		return slices.ContainsFunc(g[id], visit)
	}
	return visit(from)
}
