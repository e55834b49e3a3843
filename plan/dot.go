package plan

import (
	"fmt"
	"strings"
)

// DOT is the drawing in the language of Graphviz, what is needed on the left.
func (d Drawing) DOT() string {
	var b strings.Builder
	fmt.Fprintf(&b, "digraph {\n  label=%s\n  labelloc=t\n  rankdir=RL\n", dotQuote(d.Title))
	b.WriteString("  node [shape=box, style=\"rounded,filled\", fontname=\"monospace\", fontsize=11]\n  edge [color=\"" + edgeColour + "\"]\n")
	for _, n := range d.Nodes {
		l := lookOf(n.State)
		fmt.Fprintf(&b, "  %s [label=%s, fillcolor=%q, color=%q]\n", dotQuote(n.ID), dotQuote(n.Name+"\n"+n.caption()), l.fill, l.border)
	}
	for _, a := range d.arrows() {
		fmt.Fprintf(&b, "  %s -> %s\n", dotQuote(d.Nodes[a.from].ID), dotQuote(d.Nodes[a.to].ID))
	}
	b.WriteString("}\n")
	return b.String()
}

// edgeColour is that of arrows.
const edgeColour = "#5b6b80"

// dotQuote is a quoted string of DOT, in which a line break is centred.
func dotQuote(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(text) + `"`
}
