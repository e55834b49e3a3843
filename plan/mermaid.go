package plan

import (
	"fmt"
	"strings"
)

// Mermaid is the drawing as a Mermaid flowchart, what is needed on the left.
func (d Drawing) Mermaid() string {
	var b strings.Builder
	fmt.Fprintf(&b, "---\ntitle: %q\n---\nflowchart RL\n", d.Title)
	for n, node := range d.Nodes {
		fmt.Fprintf(&b, "  n%d[\"%s<br/>%s\"]", n, mermaidText(node.Name), mermaidText(node.caption()))
		if l := lookOf(node.State); l.state != "" {
			b.WriteString(":::" + l.state)
		}
		b.WriteByte('\n')
	}
	for _, a := range d.arrows() {
		fmt.Fprintf(&b, "  n%d --> n%d\n", a.from, a.to)
	}
	for _, l := range d.states() {
		fmt.Fprintf(&b, "  classDef %s fill:%s,stroke:%s,color:#1f2933\n", l.state, l.fill, l.border)
	}
	return b.String()
}

// mermaidText writes what would end a label, or be read as HTML in it, as entities
// of Mermaid.
func mermaidText(text string) string {
	return strings.NewReplacer("#", "#35;", "&", "#amp;", `"`, "#quot;", "<", "#lt;", ">", "#gt;").Replace(text)
}
