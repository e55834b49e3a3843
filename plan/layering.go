package plan

import (
	"cmp"
	"math/bits"
	"slices"
)

// layering sorts nodes into layers so that every arrow leads to a lower one.
type layering struct {
	// arrows are free of cycles: those that would close one are turned round.
	arrows []arrow
	heads  map[arrow]heads
	// needs and users are the ends of arrows, by node.
	needs, users [][]int
	// order has every node after those that it needs.
	order []int
	layer []int
}

func newLayering(nodes int, arrows []arrow) *layering {
	g := &layering{heads: map[arrow]heads{}, needs: make([][]int, nodes), users: make([][]int, nodes), layer: make([]int, nodes)}
	g.breakCycles(nodes, arrows)
	for _, a := range g.arrows {
		g.needs[a.from] = append(g.needs[a.from], a.to)
		g.users[a.to] = append(g.users[a.to], a.from)
	}
	for _, n := range g.order {
		for _, need := range g.needs[n] {
			g.layer[n] = max(g.layer[n], g.layer[need]+1)
		}
	}
	g.shorten()
	return g
}

// heads says at which ends an arrow has its head: at both where two nodes need
// each other.
type heads int

const (
	headAtNeed heads = 1
	headAtUser heads = 2
)

// breakCycles finds an order and turns the arrows that contradict it.
func (g *layering) breakCycles(nodes int, arrows []arrow) {
	const visiting, visited = 1, 2
	state, from := make([]int, nodes), make([][]int, nodes)
	for _, a := range arrows {
		from[a.from] = append(from[a.from], a.to)
	}
	add := func(a arrow, h heads) {
		known, twice := g.heads[a]
		if !twice {
			g.arrows = append(g.arrows, a)
		}
		g.heads[a] = known | h
	}
	var visit func(n int)
	visit = func(n int) {
		state[n] = visiting
		for _, need := range from[n] {
			if state[need] == visiting {
				add(arrow{need, n}, headAtUser)
			} else {
				add(arrow{n, need}, headAtNeed)
			}
			if state[need] == 0 {
				visit(need)
			}
		}
		state[n] = visited
		g.order = append(g.order, n)
	}
	for n := range nodes {
		if state[n] == 0 {
			visit(n)
		}
	}
}

// shorten moves nodes that more others need than they need themselves up to their
// users, which makes the arrows shorter.
func (g *layering) shorten() {
	for _, n := range slices.Backward(g.order) {
		if len(g.users[n]) < max(1, len(g.needs[n])) {
			continue
		}
		lowest := g.layer[g.users[n][0]]
		for _, user := range g.users[n] {
			lowest = min(lowest, g.layer[user])
		}
		g.layer[n] = max(g.layer[n], lowest-1)
	}
}

// parts are the sets of nodes that arrows connect, the largest first.
func (g *layering) parts() [][]int {
	seen := make([]bool, len(g.layer))
	var parts [][]int
	for n := range g.layer {
		if seen[n] {
			continue
		}
		seen[n] = true
		part := []int{n}
		for i := 0; i < len(part); i++ {
			for _, next := range slices.Concat(g.needs[part[i]], g.users[part[i]]) {
				if !seen[next] {
					seen[next] = true
					part = append(part, next)
				}
			}
		}
		slices.Sort(part)
		parts = append(parts, part)
	}
	slices.SortStableFunc(parts, func(a, b []int) int { return cmp.Compare(len(b), len(a)) })
	return parts
}

// implied finds the arrows of a part between nodes that a longer way connects too.
func (g *layering) implied(part []int) map[arrow]bool {
	at := make(map[int]int, len(part))
	for i, n := range part {
		at[n] = i
	}
	words := (len(part) + bits.UintSize - 1) / bits.UintSize
	reached := make([][]uint, len(part))
	found := map[arrow]bool{}
	for _, n := range g.order {
		i, here := at[n]
		if !here {
			continue
		}
		direct, indirect := make([]uint, words), make([]uint, words)
		for _, need := range g.needs[n] {
			m := at[need]
			direct[m/bits.UintSize] |= 1 << (m % bits.UintSize)
			for w := range indirect {
				indirect[w] |= reached[m][w]
			}
		}
		for _, need := range g.needs[n] {
			m := at[need]
			if indirect[m/bits.UintSize]&(1<<(m%bits.UintSize)) != 0 {
				found[arrow{n, need}] = true
			}
		}
		for w := range indirect {
			indirect[w] |= direct[w]
		}
		reached[i] = indirect
	}
	return found
}
