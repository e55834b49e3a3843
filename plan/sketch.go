package plan

import (
	"cmp"
	"math"
	"slices"
)

// vertex is a node in its layer, or a bend: the place where a long arrow passes a
// layer.
type vertex struct {
	node  int // -1 for a bend
	layer int
	// left and right are the neighbours in the layers before and after.
	left, right []*vertex
	// rank is the place in the layer from the top, at the centre in pixels.
	rank int
	at   float64
}

func (v *vertex) height() float64 {
	if v.node < 0 {
		return bendHeight
	}
	return boxHeight
}

// apart is how far the centres of two neighbours in a layer are apart at least.
func apart(a, b *vertex) float64 {
	gap := float64(rowGap)
	if a.node < 0 || b.node < 0 {
		gap = bendGap
	}
	return (a.height()+b.height())/2 + gap
}

// sketch is one connected part of a drawing while it is laid out: first the order
// in the layers, by barycenters, then the heights.
type sketch struct {
	drawing Drawing
	layers  [][]*vertex
	routes  []route
}

// route is an arrow with the vertices that it runs through, from user to need.
type route struct {
	line
	through []*vertex
}

func newSketch(d Drawing, g *layering, part []int) *sketch {
	s := &sketch{drawing: d}
	lowest := math.MaxInt
	for _, n := range part {
		lowest = min(lowest, g.layer[n])
	}
	vertices := map[int]*vertex{}
	for _, n := range part {
		vertices[n] = s.add(n, g.layer[n]-lowest)
	}
	implied := g.implied(part)
	for _, a := range g.arrows {
		to := vertices[a.to]
		if to == nil {
			continue
		}
		r := route{line: line{arrow: a, implied: implied[a], heads: g.heads[a]}, through: []*vertex{vertices[a.from]}}
		for last := r.through[0]; last != to; {
			next := to
			if to.layer < last.layer-1 {
				next = s.add(-1, last.layer-1)
			}
			last.left, next.right = append(last.left, next), append(next.right, last)
			r.through = append(r.through, next)
			last = next
		}
		s.routes = append(s.routes, r)
	}
	s.sort()
	s.settle()
	return s
}

func (s *sketch) add(node, layer int) *vertex {
	for len(s.layers) <= layer {
		s.layers = append(s.layers, nil)
	}
	v := &vertex{node: node, layer: layer, rank: len(s.layers[layer])}
	s.layers[layer] = append(s.layers[layer], v)
	return v
}

// sweeps is how often the order and the heights are improved in either direction.
const sweeps = 12

// sort orders the layers so that few arrows cross, and keeps the best order found.
func (s *sketch) sort() {
	best, fewest := s.order(), s.crossings()
	for sweep := 0; sweep < 2*sweeps && fewest > 0; sweep++ {
		if sweep%2 == 0 {
			for _, layer := range s.layers {
				sortByNeighbours(layer, func(v *vertex) []*vertex { return v.left })
			}
		} else {
			for _, layer := range slices.Backward(s.layers) {
				sortByNeighbours(layer, func(v *vertex) []*vertex { return v.right })
			}
		}
		s.exchange()
		if n := s.crossings(); n < fewest {
			best, fewest = s.order(), n
		}
	}
	for i, layer := range best {
		copy(s.layers[i], layer)
		rerank(layer)
	}
}

func (s *sketch) order() [][]*vertex {
	copied := make([][]*vertex, len(s.layers))
	for i, layer := range s.layers {
		copied[i] = slices.Clone(layer)
	}
	return copied
}

func rerank(layer []*vertex) {
	for i, v := range layer {
		v.rank = i
	}
}

// sortByNeighbours puts each vertex at the mean rank of its neighbours; one that
// has none keeps its place.
func sortByNeighbours(layer []*vertex, neighbours func(*vertex) []*vertex) {
	weight := make(map[*vertex]float64, len(layer))
	for _, v := range layer {
		weight[v] = float64(v.rank)
		if around := neighbours(v); len(around) > 0 {
			sum := 0
			for _, n := range around {
				sum += n.rank
			}
			weight[v] = float64(sum) / float64(len(around))
		}
	}
	slices.SortStableFunc(layer, func(a, b *vertex) int { return cmp.Compare(weight[a], weight[b]) })
	rerank(layer)
}

// exchange swaps neighbours in a layer where that saves crossings.
func (s *sketch) exchange() {
	for _, layer := range s.layers {
		for i := 0; i+1 < len(layer); i++ {
			a, b := layer[i], layer[i+1]
			before := crossed(a.left, b.left) + crossed(a.right, b.right)
			after := crossed(b.left, a.left) + crossed(b.right, a.right)
			if after < before {
				layer[i], layer[i+1] = b, a
				a.rank, b.rank = i+1, i
			}
		}
	}
}

// crossed counts the crossings of the arrows of an upper vertex with those of a
// lower one.
func crossed(upper, lower []*vertex) int {
	ranks := make([]int, len(lower))
	for i, v := range lower {
		ranks[i] = v.rank
	}
	slices.Sort(ranks)
	count := 0
	for _, v := range upper {
		n, _ := slices.BinarySearch(ranks, v.rank)
		count += n
	}
	return count
}

// crossings counts those between all layers: the inversions of the ranks at the
// left ends, taken in the order of the right ends.
func (s *sketch) crossings() int {
	total := 0
	for _, layer := range s.layers {
		var ranks []int
		for _, v := range layer {
			from := len(ranks)
			for _, n := range v.left {
				ranks = append(ranks, n.rank)
			}
			slices.Sort(ranks[from:])
		}
		total += inversions(ranks)
	}
	return total
}

// inversions sorts the values and counts the pairs that were in the wrong order.
func inversions(values []int) int {
	if len(values) < 2 {
		return 0
	}
	left, right := slices.Clone(values[:len(values)/2]), slices.Clone(values[len(values)/2:])
	count := inversions(left) + inversions(right)
	for i := range values {
		if len(right) == 0 || len(left) > 0 && left[0] <= right[0] {
			values[i], left = left[0], left[1:]
		} else {
			values[i], right = right[0], right[1:]
			count += len(left)
		}
	}
	return count
}

// settle finds the heights: each vertex near its neighbours, in the order of the
// layer and far enough apart.
func (s *sketch) settle() {
	for _, layer := range s.layers {
		for i, v := range layer {
			if i > 0 {
				v.at = layer[i-1].at + apart(layer[i-1], v)
			}
		}
	}
	for sweep := range sweeps {
		for _, layer := range s.layers {
			spread(layer, func(v *vertex) []*vertex { return v.left })
		}
		for _, layer := range slices.Backward(s.layers) {
			spread(layer, func(v *vertex) []*vertex { return v.right })
		}
		if sweep%2 == 1 {
			for _, layer := range s.layers {
				spread(layer, func(v *vertex) []*vertex { return slices.Concat(v.left, v.right) })
			}
		}
	}
}

// spread moves each vertex of a layer as near to the mean of its neighbours as the
// others allow: the least squares under the distances that have to be kept, found
// by pooling those that push each other.
func spread(layer []*vertex, neighbours func(*vertex) []*vertex) {
	type pool struct {
		sum, weight float64
		count       int
	}
	var pools []pool
	offset := make([]float64, len(layer))
	for i, v := range layer {
		if i > 0 {
			offset[i] = offset[i-1] + apart(layer[i-1], v)
		}
		wish, weight := v.at, 0.1
		if around := neighbours(v); len(around) > 0 {
			wish, weight = 0, 1
			for _, n := range around {
				wish += n.at / float64(len(around))
			}
			if v.node < 0 {
				weight = 4 // long arrows run straight
			}
		}
		pools = append(pools, pool{(wish - offset[i]) * weight, weight, 1})
		for n := len(pools); n > 1 && pools[n-2].sum/pools[n-2].weight > pools[n-1].sum/pools[n-1].weight; n = len(pools) {
			pools[n-2].sum += pools[n-1].sum
			pools[n-2].weight += pools[n-1].weight
			pools[n-2].count += pools[n-1].count
			pools = pools[:n-1]
		}
	}
	i := 0
	for _, p := range pools {
		for range p.count {
			layer[i].at = p.sum/p.weight + offset[i]
			i++
		}
	}
}

// place adds the boxes and lines below what the layout has already.
func (s *sketch) place(l *layout) {
	top, highest := l.below(), math.Inf(1)
	for _, layer := range s.layers {
		highest = min(highest, layer[0].at-layer[0].height()/2)
	}
	left, widths := make([]float64, len(s.layers)), make([]float64, len(s.layers))
	x := 0.0
	for i, layer := range s.layers {
		for _, v := range layer {
			if v.node >= 0 {
				widths[i] = max(widths[i], boxWidth(s.drawing.Nodes[v.node]))
			}
		}
		left[i] = x
		x += widths[i] + layerGap
		for _, v := range layer {
			v.at = math.Round(v.at - highest + top)
			l.height = max(l.height, v.at+v.height()/2)
			if v.node >= 0 {
				l.boxes[v.node] = box{x: left[i], y: v.at - boxHeight/2, width: widths[i], layer: i}
			}
		}
	}
	l.width = max(l.width, x-layerGap)
	for _, r := range s.routes {
		last := len(r.through) - 1
		for i, v := range r.through {
			if i > 0 {
				r.points = append(r.points, point{left[v.layer] + widths[v.layer], v.at})
			}
			if i < last {
				r.points = append(r.points, point{left[v.layer], v.at})
			}
		}
		l.lines = append(l.lines, r.line)
	}
}
