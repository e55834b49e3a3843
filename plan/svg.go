package plan

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// Sizes of the picture around the layout, in pixels.
const (
	margin     = 24
	titleRoom  = 34
	legendRoom = 30
	legendBox  = 12
)

// SVG is the drawing as a picture: what is needed on the left of what needs it,
// and a legend. It fails for a drawing that is too large to be read.
func (d Drawing) SVG() (string, error) {
	l, err := newLayout(d)
	if err != nil {
		return "", fmt.Errorf("%s has %d resources: %w", d.Title, len(d.Nodes), err)
	}
	legend, legendWidth := d.legend(l)
	width := max(l.width, legendWidth, math.Ceil(8.6*float64(len([]rune(d.Title))))) + 2*margin
	height := titleRoom + l.height + legendRoom + 2*margin
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%.0f" viewBox="0 0 %.0f %.0f" role="img" font-family="ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace">`+"\n", width, height, width, height)
	fmt.Fprintf(&b, "<title>%s</title>\n", html.EscapeString(d.Title))
	b.WriteString(`<style>
  .name { font-size: 13px; font-weight: bold; fill: #1f2933 }
  .type { font-size: 11px; fill: #52606d }
  .line { fill: none; stroke: ` + edgeColour + `; stroke-width: 1.3 }
  .implied { stroke-width: 1; stroke-opacity: .35 }
</style>
<defs><marker id="head" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto-start-reverse"><path d="M0,0.8 L8,4 L0,7.2 z" fill="` + edgeColour + `"/></marker></defs>
<rect width="100%" height="100%" fill="#ffffff"/>
`)
	fmt.Fprintf(&b, `<text x="%d" y="%d" font-size="14" font-weight="bold" fill="#1f2933">%s</text>`+"\n", margin, margin+12, html.EscapeString(d.Title))
	fmt.Fprintf(&b, `<g transform="translate(%d,%d)">`+"\n", margin, margin+titleRoom)
	for _, a := range l.lines {
		b.WriteString(a.path(d))
	}
	for i, n := range d.Nodes {
		b.WriteString(l.boxes[i].element(n))
	}
	b.WriteString("</g>\n")
	fmt.Fprintf(&b, `<g transform="translate(%d,%.0f)">`+"\n%s</g>\n</svg>\n", margin, margin+titleRoom+l.height+legendRoom, legend)
	return b.String(), nil
}

func (b box) element(n Node) string {
	l := lookOf(n.State)
	middle := b.x + b.width/2
	return fmt.Sprintf(`<g><rect x="%.0f" y="%.0f" width="%.0f" height="%d" rx="6" fill="%s" stroke="%s" stroke-width="1.4"/>`+
		`<text class="name" x="%.1f" y="%.0f" text-anchor="middle">%s</text><text class="type" x="%.1f" y="%.0f" text-anchor="middle">%s</text></g>`+"\n",
		b.x, b.y, b.width, boxHeight, l.fill, l.border, middle, b.y+19, html.EscapeString(n.Name), middle, b.y+35, html.EscapeString(n.caption()))
}

// path is a curve from point to point, level where it passes a layer.
func (l line) path(d Drawing) string {
	var b strings.Builder
	class, head := "line", ""
	if l.implied {
		class += " implied"
	}
	if l.heads&headAtUser != 0 {
		head += ` marker-start="url(#head)"`
	}
	if l.heads&headAtNeed != 0 {
		head += ` marker-end="url(#head)"`
	}
	for i, p := range l.points {
		switch {
		case i == 0:
			fmt.Fprintf(&b, "M%.0f,%.0f", p.x, p.y)
		case i%2 == 0: // the other end of the room in a layer
			fmt.Fprintf(&b, " H%.0f", p.x)
		default:
			from := l.points[i-1]
			middle := (from.x + p.x) / 2
			fmt.Fprintf(&b, " C%.0f,%.0f %.0f,%.0f %.0f,%.0f", middle, from.y, middle, p.y, p.x, p.y)
		}
	}
	user, need := d.Nodes[l.from].Name, d.Nodes[l.to].Name
	if l.heads == headAtUser {
		user, need = need, user
	}
	return fmt.Sprintf(`<path class="%s" d="%s"%s><title>%s needs %s</title></path>`+"\n", class, b.String(), head, html.EscapeString(user), html.EscapeString(need))
}

// legend explains the colours and the arrows that the picture has.
func (d Drawing) legend(l layout) (text string, width float64) {
	var b strings.Builder
	entry := func(mark, words string, room float64) {
		fmt.Fprintf(&b, `<g transform="translate(%.0f,0)">%s<text class="type" x="%.0f" y="4">%s</text></g>`+"\n", width, mark, room+7, words)
		width += room + 7 + math.Ceil(6.7*float64(len(words))) + 22
	}
	for _, look := range d.states() {
		entry(fmt.Sprintf(`<rect x="0" y="%d" width="%d" height="%d" rx="3" fill="%s" stroke="%s"/>`, -legendBox/2, legendBox, legendBox, look.fill, look.border), look.state, legendBox)
	}
	var direct, implied bool
	for _, a := range l.lines {
		implied = implied || a.implied
		direct = direct || !a.implied
	}
	const length = 34
	if direct {
		entry(fmt.Sprintf(`<path class="line" d="M%d,0 H0" marker-end="url(#head)"/>`, length), "needs", length)
	}
	if implied {
		entry(fmt.Sprintf(`<path class="line implied" d="M%d,0 H0" marker-end="url(#head)"/>`, length), "needs, and by way of others too", length)
	}
	return b.String(), max(0, width-22)
}
