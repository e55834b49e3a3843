package plan

import (
	"cmp"
	"errors"
	"math"
	"slices"
)

// Sizes of a layout, in pixels.
const (
	boxHeight  = 44
	rowGap     = 16 // between two boxes of a layer
	layerGap   = 84 // between two layers, where the arrows run
	bendHeight = 4  // of the room that an arrow takes where it passes a layer
	bendGap    = 7  // around such room
	minBox     = 120
	charWidth  = 7.9 // of the name, which is monospaced
	boxPadding = 28
)

// maxSegments bounds the pieces of arrow in a layout, whose cost rises with them.
const maxSegments = 20_000

// errTooLarge says that nobody could read the picture.
var errTooLarge = errors.New("too large for an SVG that a person can read; draw it as DOT and lay it out with Graphviz")

// box is where a node is drawn; x and y are its upper left corner.
type box struct {
	x, y, width float64
	// layer counts from the left. An arrow leads from a layer to one further left.
	layer int
}

// line is where an arrow is drawn: through the right and left ends of the room
// that it takes in each layer it passes, from the node that needs to the needed one.
type line struct {
	arrow
	points []point
	// implied says that other arrows lead there too, over other nodes.
	implied bool
	heads   heads
}

type point struct{ x, y float64 }

// layout places boxes and lines. The parts of a graph that no arrow connects are
// laid out one below the other; nodes without arrows follow in rows.
type layout struct {
	boxes         []box
	lines         []line
	width, height float64
}

func newLayout(d Drawing) (layout, error) {
	l := layout{boxes: make([]box, len(d.Nodes))}
	arrows := d.arrows()
	g := newLayering(len(d.Nodes), arrows)
	segments := 0
	for _, a := range g.arrows {
		if segments += g.layer[a.from] - g.layer[a.to]; segments > maxSegments {
			return layout{}, errTooLarge
		}
	}
	if len(d.Nodes) > maxSegments {
		return layout{}, errTooLarge
	}
	var single []int
	for _, part := range g.parts() {
		if len(part) == 1 {
			single = append(single, part[0])
			continue
		}
		newSketch(d, g, part).place(&l)
	}
	l.placeSingles(d, single)
	slices.SortFunc(l.lines, func(a, b line) int { return cmp.Or(a.from-b.from, a.to-b.to) })
	return l, nil
}

// placeSingles puts nodes without arrows in rows below the rest, about as wide as it.
func (l *layout) placeSingles(d Drawing, nodes []int) {
	if len(nodes) == 0 {
		return
	}
	width := 0.0
	for _, n := range nodes {
		width = max(width, boxWidth(d.Nodes[n]))
	}
	columns := max(1, int((l.width+rowGap)/(width+rowGap)), int(math.Ceil(math.Sqrt(float64(len(nodes))/2))))
	columns = min(columns, len(nodes))
	top := l.below()
	for i, n := range nodes {
		l.boxes[n] = box{x: float64(i%columns) * (width + rowGap), y: top + float64(i/columns)*(boxHeight+rowGap), width: width}
	}
	l.width = max(l.width, float64(columns)*(width+rowGap)-rowGap)
	l.height = top + math.Ceil(float64(len(nodes))/float64(columns))*(boxHeight+rowGap) - rowGap
}

// below is where the next part of the picture begins.
func (l *layout) below() float64 {
	if l.height == 0 {
		return 0
	}
	return l.height + 2*rowGap
}

func boxWidth(n Node) float64 {
	return max(minBox, math.Ceil(charWidth*float64(max(len([]rune(n.Name)), len([]rune(n.caption()))-2)))+boxPadding)
}
