package plan

import (
	"fmt"
	"slices"
	"strings"

	"windlass/schemas"
)

// Drawing is a graph of resources to be drawn as DOT, Mermaid or SVG.
type Drawing struct {
	// Title is the line above the picture, such as "staging/users".
	Title string `json:"title"`
	// Nodes are the resources. Equal drawings make equal texts.
	Nodes []Node `json:"nodes"`
}

// Node is one resource in a Drawing.
type Node struct {
	// ID is unique in the drawing: the resource's name, or the operation's id where
	// one name stands for two things, of which one is deleted.
	ID   string               `json:"id"`
	Name string               `json:"name"`
	Type schemas.ResourceType `json:"type"`
	// State is a word such as create or ready, empty in the drawing of a document.
	State string `json:"state,omitempty"`
	// Needs are the ids of the nodes that an arrow leads to.
	Needs []string `json:"needs,omitempty"`
}

// DrawDocument draws what a document declares. It asks nobody and knows no states.
func DrawDocument(document *schemas.Infrastructure) (Drawing, error) {
	d := Drawing{Title: document.Scope().String()}
	for _, r := range document.Spec.Resources {
		needs, err := r.Dependencies()
		if err != nil {
			return Drawing{}, err
		}
		d.Nodes = append(d.Nodes, Node{ID: r.Name, Name: r.Name, Type: r.Type, Needs: needs})
	}
	return d, nil
}

// DrawOperations draws a plan: each resource with what is done to it. What is
// deleted is needed by what has to go or move on before it.
func DrawOperations(answer schemas.PlanAnswer) Drawing {
	d := Drawing{Title: answer.Scope.String() + ": " + answer.Summary}
	actions, at := map[string]schemas.Action{}, map[string]int{}
	for n, o := range answer.Operations {
		actions[o.ID], at[o.ID] = o.Action, n
		d.Nodes = append(d.Nodes, Node{ID: o.ID, Name: o.Resource, Type: o.Type, State: planWords[o.Action]})
	}
	for n, o := range answer.Operations {
		for _, id := range o.DependsOn {
			m, known := at[id]
			switch {
			case !known:
			case o.Action == schemas.ActionDelete:
				d.Nodes[m].Needs = append(d.Nodes[m].Needs, o.ID)
			default:
				d.Nodes[n].Needs = append(d.Nodes[n].Needs, id)
			}
		}
	}
	return d
}

// planWords are the states of a planned resource.
var planWords = map[schemas.Action]string{
	schemas.ActionCreate:  "create",
	schemas.ActionUpdate:  "update",
	schemas.ActionReplace: "replace",
	schemas.ActionDelete:  "delete",
	schemas.ActionRetain:  "retain",
	schemas.ActionNone:    "unchanged",
}

// DrawStatus draws what is deployed, each resource with its recorded state.
func DrawStatus(answer schemas.StatusAnswer) Drawing {
	record := answer.Infrastructure
	d := Drawing{Title: fmt.Sprintf("%s, revision %d", record.Scope, record.Revision)}
	for _, r := range answer.Resources {
		d.Nodes = append(d.Nodes, Node{ID: r.Resource, Name: r.Resource, Type: r.Type, State: string(r.State), Needs: r.DependsOn})
	}
	return d
}

// look is how a state is painted: the fill and the border of a box.
type look struct{ state, fill, border string }

// looks are in the order of legends. Each state has its word in the box too, so
// that nothing is said by colour alone.
var looks = []look{
	{"create", "#d8f3dc", "#2d8a4e"},
	{"update", "#fff1c9", "#b7860b"},
	{"replace", "#ffe3cf", "#c4650f"},
	{"delete", "#fcdcd9", "#c0392b"},
	{"retain", "#e5def5", "#6a4fb3"},
	{"unchanged", "#f3f4f6", "#9aa1ab"},
	{string(schemas.ResourceReady), "#d8f3dc", "#2d8a4e"},
	{string(schemas.ResourceDrifted), "#fff1c9", "#b7860b"},
	{string(schemas.ResourceCreating), "#d6e9fb", "#2471b5"},
	{string(schemas.ResourceUpdating), "#d6e9fb", "#2471b5"},
	{string(schemas.ResourceReplacing), "#d6e9fb", "#2471b5"},
	{string(schemas.ResourceDeleting), "#ffe3cf", "#c4650f"},
	{string(schemas.ResourceDeleted), "#f3f4f6", "#9aa1ab"},
	{string(schemas.ResourceFailed), "#fcdcd9", "#c0392b"},
}

// plainLook is that of a box without a state.
var plainLook = look{"", "#eef2f7", "#5b6b80"}

func lookOf(state string) look {
	if n := slices.IndexFunc(looks, func(l look) bool { return l.state == state }); n >= 0 {
		return looks[n]
	}
	return plainLook
}

// states are the looks that the drawing uses, in the order of legends.
func (d Drawing) states() []look {
	return slices.DeleteFunc(slices.Clone(looks), func(l look) bool {
		return !slices.ContainsFunc(d.Nodes, func(n Node) bool { return n.State == l.state })
	})
}

// caption is the line below the name: "Compute, update".
func (n Node) caption() string {
	return strings.TrimSuffix(string(n.Type)+", "+n.State, ", ")
}

// arrow leads from a node to one that it needs, by their places in Drawing.Nodes.
type arrow struct{ from, to int }

// arrows lists every arrow once; needs that are not in the drawing, and a node's
// need of itself, are left out.
func (d Drawing) arrows() []arrow {
	at := make(map[string]int, len(d.Nodes))
	for n, node := range d.Nodes {
		at[node.ID] = n
	}
	var all []arrow
	for n, node := range d.Nodes {
		seen := map[int]bool{n: true}
		for _, id := range node.Needs {
			if m, known := at[id]; known && !seen[m] {
				seen[m] = true
				all = append(all, arrow{n, m})
			}
		}
	}
	return all
}
