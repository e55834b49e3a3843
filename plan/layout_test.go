package plan

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"windlass/schemas"
)

// graph is a random drawing of n nodes. With cycles, arrows lead anywhere.
func (c chance) graph(n int, cycles bool) Drawing {
	d := Drawing{Title: "any/graph"}
	for i := range n {
		node := Node{ID: fmt.Sprintf("r%02d", i), Name: strings.Repeat("n", 1+c.IntN(40)), Type: schemas.TypeCompute}
		for range c.IntN(4) {
			if cycles {
				node.Needs = append(node.Needs, fmt.Sprintf("r%02d", c.IntN(n+2)))
			} else if i > 0 {
				node.Needs = append(node.Needs, fmt.Sprintf("r%02d", c.IntN(i)))
			}
		}
		d.Nodes = append(d.Nodes, node)
	}
	return d
}

func TestNoBoxOverlapsAndEveryArrowLeadsToAnEarlierLayer(t *testing.T) {
	for seed := range uint64(1000) {
		c := chance{rand.New(rand.NewPCG(seed, 4))}
		d := c.graph(c.IntN(60), seed%4 == 0)
		l, err := newLayout(d)
		require.NoError(t, err)
		for i, a := range l.boxes {
			require.True(t, a.x >= 0 && a.y >= 0 && a.x+a.width <= l.width && a.y+boxHeight <= l.height, "seed %d: %v is outside", seed, a)
			for _, b := range l.boxes[:i] {
				apart := a.x+a.width < b.x || b.x+b.width < a.x || a.y+boxHeight < b.y || b.y+boxHeight < a.y
				require.True(t, apart, "seed %d: %v overlaps %v", seed, a, b)
			}
		}
		drawn := map[arrow]bool{}
		for _, line := range l.lines {
			require.Greater(t, l.boxes[line.from].layer, l.boxes[line.to].layer, "seed %d", seed)
			if line.heads&headAtNeed != 0 {
				drawn[line.arrow] = true
			}
			if line.heads&headAtUser != 0 {
				require.Zero(t, seed%4, "an arrow is turned without a cycle")
				drawn[arrow{line.to, line.from}] = true
			}
			requireClear(t, l, line)
		}
		require.Len(t, drawn, len(d.arrows()))
		for _, a := range d.arrows() {
			require.True(t, drawn[a], "seed %d: %v is missing", seed, a)
		}
	}
}

// requireClear demands that a line passes no box: level pieces lie in a layer, the
// curves between lie in the gap of two layers.
func requireClear(t *testing.T, l layout, line line) {
	t.Helper()
	for i := 2; i < len(line.points); i += 2 {
		level, end := line.points[i-1], line.points[i]
		for _, b := range l.boxes {
			inside := level.y >= b.y && level.y <= b.y+boxHeight && end.x < b.x+b.width && level.x > b.x
			require.False(t, inside, "%v runs through %v", line, b)
		}
	}
	for i := 1; i < len(line.points); i += 2 {
		require.GreaterOrEqual(t, line.points[i-1].x-line.points[i].x, float64(layerGap))
	}
}

func TestAnArrowThatOthersImplyIsMarked(t *testing.T) {
	d := Drawing{Nodes: []Node{{ID: "a"}, {ID: "b", Needs: []string{"a"}}, {ID: "c", Needs: []string{"a", "b"}}}}
	l, err := newLayout(d)
	require.NoError(t, err)
	implied := map[arrow]bool{}
	for _, line := range l.lines {
		implied[line.arrow] = line.implied
	}
	require.Equal(t, map[arrow]bool{{1, 0}: false, {2, 1}: false, {2, 0}: true}, implied)
}

func TestArrowsCrossAsLittleAsTheyCan(t *testing.T) {
	d := Drawing{}
	for i := range 10 {
		d.Nodes = append(d.Nodes, Node{ID: fmt.Sprint("top", i)}, Node{ID: fmt.Sprint("low", 9-i), Needs: []string{fmt.Sprint("top", 9-i), "root"}})
	}
	d.Nodes = append(d.Nodes, Node{ID: "root"})
	g := newLayering(len(d.Nodes), d.arrows())
	require.Len(t, g.parts(), 1)
	s := newSketch(d, g, g.parts()[0])
	require.Equal(t, 20, s.crossings(), "five pairs on either side of the root, whose arrows pass those between")
	require.Zero(t, inversions([]int{1, 2, 2, 3}))
	require.Equal(t, 6, inversions([]int{4, 3, 2, 1}))
}

func TestADrawingThatNobodyCouldReadIsRefused(t *testing.T) {
	d := Drawing{Title: "any/huge"}
	for i := range 2000 {
		node := Node{ID: fmt.Sprint(i)}
		for need := range min(i, 20) {
			node.Needs = append(node.Needs, fmt.Sprint(i-1-need))
		}
		d.Nodes = append(d.Nodes, node)
	}
	_, err := d.SVG()
	require.EqualError(t, err, "any/huge has 2000 resources: "+errTooLarge.Error())
	require.NotEmpty(t, d.DOT())
}

func TestWhatNamesHoldCannotLeaveTheirPlace(t *testing.T) {
	nasty := `a"b<script>&]-->\#;`
	d := Drawing{Title: nasty, Nodes: []Node{{ID: nasty, Name: nasty, Type: "T\"<", Needs: []string{"b"}}, {ID: "b", Name: "b", Needs: []string{nasty}}}}
	svg, err := d.SVG()
	require.NoError(t, err)
	decoder := xml.NewDecoder(strings.NewReader(svg))
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		start, ok := token.(xml.StartElement)
		require.False(t, ok && start.Name.Local == "script")
	}
	require.Contains(t, d.DOT(), `"a\"b<script>&]-->\\#;" -> "b"`)
	require.Contains(t, d.Mermaid(), `n0["a#quot;b#lt;script#gt;#amp;]--#gt;\#35;;<br/>T#quot;#lt;"]`)
}
