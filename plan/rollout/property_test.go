package rollout_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"windlass/plan/rollout"
	"windlass/schemas"
	"windlass/schemas/quantity"
)

// world is what a rollout meets: replicas that fail as chance has it, and people who
// send commands. It keeps its own book of what is there, and judges every action.
type world struct {
	*testing.T
	random *rand.Rand
	state  *rollout.State
	now    time.Time
	// there are the replicas, in traffic or not, with whether they are well.
	there map[string]*thing
	// running are the actions that have not ended.
	running []rollout.Action
	// bad is the chance that a replica of the target does not become available; sick
	// that one of it turns unhealthy, at each step.
	bad, sick float64
	stableBad float64
	// hangs is the chance that a start does not end by itself, and breaks that another
	// action cannot be done.
	hangs, breaks float64
	// runs is how often another run has gone on.
	runs    int
	initial int
	// least is how many had to serve when the Route that runs was decided.
	least int
	log   []string
}

type thing struct {
	set              string
	well, in, spoilt bool
	// drained says that no request can be in flight.
	drained  bool
	starting bool
	// hanging says that its start does not end by itself.
	hanging bool
}

func key(set string, index int) string { return fmt.Sprintf("%s/%d", set, index) }

func (w *world) fatalf(format string, arguments ...any) {
	w.Helper()
	for _, line := range w.log {
		w.Log(line)
	}
	w.Fatalf(format, arguments...)
}

func strategies(random *rand.Rand) schemas.Strategy {
	portion := func() *quantity.Portion {
		p := quantity.Count(random.IntN(4))
		if random.IntN(2) == 0 {
			p = quantity.Percent(random.IntN(101))
		}
		return &p
	}
	window := func() *quantity.Duration {
		d := quantity.Duration(time.Duration(random.IntN(20)) * time.Second)
		return &d
	}
	s := schemas.Strategy{ProgressDeadlineSeconds: 60, Monitor: *window()}
	if random.IntN(3) == 0 {
		s.MaxFailureRatio = random.Float64()
	}
	switch random.IntN(5) {
	case 0:
		s.Type = schemas.StrategyRecreate
	case 1:
		s.Type, s.Warm = schemas.StrategyBlueGreen, window()
	case 2:
		s.Type = schemas.StrategyCanary
		for range 1 + random.IntN(3) {
			step := schemas.CanaryStep{Weight: random.IntN(101)}
			switch random.IntN(4) {
			case 0:
				step.Pause = &schemas.CanaryPause{}
			case 1:
				step.Pause = &schemas.CanaryPause{Duration: window()}
			}
			if random.IntN(2) == 0 {
				step.Analysis = &schemas.Analysis{Exec: &schemas.ExecCheck{Command: []string{"true"}}}
			}
			s.Steps = append(s.Steps, step)
		}
	default:
		s.MaxSurge, s.MaxUnavailable = portion(), portion()
	}
	return s
}

func newWorld(t *testing.T, seed uint64) *world {
	random := rand.New(rand.NewPCG(seed, 1))
	w := &world{T: t, random: random, now: time.Unix(1_800_000_000, 0), there: map[string]*thing{}}
	target := rollout.Version{Set: "new", Replicas: random.IntN(12)}
	stable := rollout.Version{Set: "old", Replicas: random.IntN(12)}
	if random.IntN(10) == 0 {
		target.Replicas = 30 + random.IntN(20)
	}
	if random.IntN(2) == 0 {
		stable.Replicas = target.Replicas
	}
	balanced := random.IntN(4) > 0
	strategy := strategies(random)
	if strategy.Type == schemas.StrategyBlueGreen || strategy.Type == schemas.StrategyCanary {
		balanced = true
	}
	var found []rollout.Member
	add := func(set string, index int) {
		m := rollout.Member{Set: set, Index: index, Condition: rollout.Available, Routed: true}
		switch random.IntN(12) {
		case 0:
			m.Condition, m.Routed = rollout.Present, false
		case 1:
			m.Routed = false
		}
		if !balanced {
			m.Routed = m.Condition == rollout.Available
		}
		found = append(found, m)
		w.there[key(set, index)] = &thing{set: set, well: m.Condition == rollout.Available, in: m.Routed && balanced, drained: !balanced || m.Condition != rollout.Available}
	}
	for i := range stable.Replicas {
		add("old", i)
	}
	// Sometimes an earlier rollout was interrupted half way.
	if random.IntN(3) == 0 {
		for i := range random.IntN(4) {
			add("middle", i)
		}
		for i := range min(random.IntN(4), target.Replicas) {
			add("new", i)
		}
	}
	if random.IntN(8) == 0 {
		stable = rollout.Version{}
	}
	w.initial = len(found)
	switch random.IntN(3) {
	case 0:
		w.bad = random.Float64()
	case 1:
		w.sick = random.Float64() * 0.2
	}
	if random.IntN(6) == 0 {
		w.stableBad = random.Float64()
	}
	switch random.IntN(4) {
	case 0:
		w.hangs = random.Float64() * 0.3
	case 1:
		w.breaks = random.Float64() * 0.05
	}
	w.state = rollout.New(strategy, target, stable, balanced, random.IntN(5) > 0, found)
	w.state.InPart = true
	w.state.MostStarting = []int{0, 1, 3, rollout.MostStarting}[random.IntN(4)]
	return w
}

// say keeps the story of the run for when it goes wrong.
func (w *world) say(format string, arguments ...any) {
	w.log = append(w.log, w.now.Format("15:04:05 ")+fmt.Sprintf(format, arguments...))
}

// limits are how many replicas there may be at most, and how many have to serve.
func (w *world) limits() (most, least int) {
	s := w.state
	n := s.Target.Replicas
	if s.Back {
		n = s.Stable.Replicas
	}
	surge, unavailable := s.Strategy.Limits(n)
	switch {
	case s.Strategy.Type == schemas.StrategyRecreate:
		return max(n, w.initial), 0
	case !s.Back && s.Strategy.Type != schemas.StrategyRollingUpdate:
		return n + w.initial, 0
	}
	return max(n+surge, w.initial), n - unavailable
}

func (w *world) serving() int {
	n := 0
	for _, t := range w.there {
		if t.well && (t.in || !w.state.Balanced) {
			n++
		}
	}
	return n
}

// begin judges an action, and does at once what reality does at once.
func (w *world) begin(a rollout.Action) {
	w.say("begin %s", a)
	if w.state.Paused && (a.Kind == rollout.Start || len(a.Join) > 0 || a.Kind == rollout.Analyse) {
		w.fatalf("%s begins while the rollout is paused", a)
	}
	t := w.there[key(a.Set, a.Index)]
	switch a.Kind {
	case rollout.Start:
		if t == nil {
			t = &thing{set: a.Set, drained: true}
			w.there[key(a.Set, a.Index)] = t
			if most, _ := w.limits(); len(w.there) > most && !w.wentBack() {
				w.fatalf("%d replicas are there, at most %d may be", len(w.there), most)
			}
		}
		if t.starting || t.well {
			w.fatalf("%s is started twice", key(a.Set, a.Index))
		}
		t.starting, t.hanging = true, w.random.Float64() < w.hangs
		if starting := w.starting(); w.state.MostStarting > 0 && starting > w.state.MostStarting {
			w.fatalf("%d replicas start at once, at most %d may", starting, w.state.MostStarting)
		}
	case rollout.Remove, rollout.SetAside:
		switch {
		case t == nil:
			w.fatalf("%s is removed and not there", a)
		case t.in:
			w.fatalf("%s is removed while it gets requests", a)
		case !t.drained:
			w.fatalf("%s is removed with requests in flight", a)
		}
		if !w.state.Balanced && t.well {
			_, least := w.limits()
			w.leave(a, 1, least, func() { t.well = false })
		}
	case rollout.Route:
		_, w.least = w.limits()
	case rollout.Cancel:
		for i, r := range w.running {
			if r.Kind == rollout.Drain && key(r.Set, r.Index) == key(a.Set, a.Index) {
				w.running = slices.Delete(w.running, i, i+1)
				break
			}
		}
		if t != nil && t.starting {
			t.spoilt = true
		}
		return
	}
	w.running = append(w.running, a)
}

func (w *world) starting() int {
	n := 0
	for _, t := range w.there {
		if t.starting {
			n++
		}
	}
	return n
}

// hung says that an action does not end by itself.
func (w *world) hung(a rollout.Action) bool {
	t := w.there[key(a.Set, a.Index)]
	return a.Kind == rollout.Start && t.hanging && !t.spoilt
}

// wentBack says that the limits of the way there may be exceeded for what was begun on it.
func (w *world) wentBack() bool {
	return w.state.Back && w.state.Strategy.Type != schemas.StrategyRollingUpdate
}

// end lets one of the running actions end; false where all hang.
func (w *world) end() bool {
	first := w.random.IntN(len(w.running))
	for i := range w.running {
		if at := (first + i) % len(w.running); !w.hung(w.running[at]) {
			a := w.running[at]
			w.running = slices.Delete(w.running, at, at+1)
			w.ended(a)
			return true
		}
	}
	return false
}

func (w *world) ended(a rollout.Action) {
	t := w.there[key(a.Set, a.Index)]
	if a.Kind != rollout.Start && a.Kind != rollout.Analyse && w.random.Float64() < w.breaks {
		w.say("%s cannot be done", a)
		switch a.Kind {
		case rollout.Remove:
			t.well = false // it has ended
		case rollout.Route:
			w.routeInPart(a)
		}
		w.state.Broke(a, schemas.Failure{Kind: "Forbidden", Message: "it may not be done"}, w.now)
		return
	}
	switch a.Kind {
	case rollout.Start:
		t.starting = false
		chance := w.bad
		if a.Set != "new" {
			chance = w.stableBad
		}
		if t.spoilt || w.random.Float64() < chance {
			t.spoilt = false
			w.say("%s failed", a)
			w.state.Started(a.Set, a.Index, "", &schemas.Failure{Kind: "Unhealthy", Message: "it failed"}, w.now)
			return
		}
		t.well = true
		w.say("%s done", a)
		w.state.Started(a.Set, a.Index, "name", nil, w.now)
	case rollout.Route:
		w.route(a)
		w.state.Routed()
	case rollout.Drain:
		t.drained = true
		w.state.Drained(a.Set, a.Index)
	case rollout.Remove, rollout.SetAside:
		delete(w.there, key(a.Set, a.Index))
		w.say("%s done", a)
		w.state.Removed(a.Set, a.Index, nil, w.now)
	case rollout.Analyse:
		var failure *schemas.Failure
		if w.random.IntN(4) == 0 {
			failure = &schemas.Failure{Kind: "Analysis", Message: "too many errors"}
		}
		w.say("%s: %v", a, failure != nil)
		w.state.Analysed(a.Step, failure, w.now)
	}
}

// route changes what gets requests, and judges what is left.
func (w *world) route(a rollout.Action) {
	well := 0
	for _, m := range a.Join {
		if t := w.there[key(m.Set, m.Index)]; t == nil {
			w.fatalf("%s joins and is not there", key(m.Set, m.Index))
		} else {
			t.in, t.drained = true, false
		}
	}
	for _, m := range a.Leave {
		t := w.there[key(m.Set, m.Index)]
		if t.well {
			well++
		}
	}
	w.leave(a, well, w.least, func() {
		for _, m := range a.Leave {
			w.there[key(m.Set, m.Index)].in = false
		}
	})
}

// routeInPart has the proxies take over some of a change.
func (w *world) routeInPart(a rollout.Action) {
	for _, m := range a.Join {
		if t := w.there[key(m.Set, m.Index)]; w.random.IntN(2) == 0 {
			t.in, t.drained = true, false
		}
	}
	for _, m := range a.Leave {
		if t := w.there[key(m.Set, m.Index)]; w.random.IntN(2) == 0 {
			t.in = false
		}
	}
}

// leave takes replicas, so many of which are well, out of service, and judges what is left.
func (w *world) leave(a rollout.Action, well, least int, out func()) {
	before := w.serving()
	out()
	if after := w.serving(); well > 0 && after < min(least, before) && w.sick == 0 {
		w.fatalf("%s leaves %d that serve, %d have to; there were %d", a, after, least, before)
	}
	w.say("%s done: %d serve", a, w.serving())
}

// disturb lets something happen that nobody asked for.
func (w *world) disturb() {
	if w.random.Float64() < w.sick {
		for name, t := range w.there {
			if t.well && t.set == "new" {
				var index int
				_, _ = fmt.Sscanf(name, "new/%d", &index)
				t.well = false
				w.say("%s turns unhealthy", name)
				w.state.Unhealthy("new", index, schemas.Failure{Kind: "Unhealthy", Message: "it turned unhealthy"}, w.now)
				return
			}
		}
	}
	if w.runs < 2 && w.random.IntN(60) == 0 {
		w.handOver()
	}
	if w.random.IntN(15) == 0 {
		orders := []schemas.RolloutOrder{schemas.RolloutPause, schemas.RolloutResume, schemas.RolloutPromote, schemas.RolloutPromoteAll, schemas.RolloutAbort}
		order := orders[w.random.IntN(len(orders))]
		w.say("%s: %v", order, w.state.Command(order, "somebody", w.now))
	}
}

// handOver breaks off what may take long, as a run does that another one goes on for.
func (w *world) handOver() {
	w.say("another run goes on")
	w.runs++
	w.running = slices.DeleteFunc(w.running, func(a rollout.Action) bool {
		switch a.Kind {
		case rollout.Start:
			t := w.there[key(a.Set, a.Index)]
			t.starting, t.spoilt = false, false
		case rollout.Remove, rollout.SetAside:
			w.there[key(a.Set, a.Index)].well = false // it may have ended: a start looks at it
		case rollout.Drain, rollout.Analyse:
		default:
			return false
		}
		w.state.Interrupted(a, "name", w.now)
		return true
	})
	for len(w.running) > 0 {
		w.end()
	}
	if !w.state.Done() && !w.state.Idle() {
		w.fatalf("something still runs: %+v", w.state)
	}
	w.reload()
}

// stranded lets somebody come who ends what waits for people.
func (w *world) stranded() {
	switch {
	case w.state.Paused:
		w.say("resume: %v", w.state.Command(schemas.RolloutResume, "somebody", w.now))
	default:
		w.say("promote: %v", w.state.Command(schemas.RolloutPromote, "somebody", w.now))
	}
}

func (w *world) run() {
	for steps := 0; !w.state.Done(); steps++ {
		if steps > 5000 {
			w.fatalf("it does not end: %+v", w.state.Status())
		}
		w.reload()
		for _, a := range w.state.Decide(w.now) {
			w.begin(a)
		}
		if !w.state.Done() {
			w.disturb()
		}
		wake := w.state.Wake(w.now)
		switch {
		case w.state.Done():
		case len(w.running) > 0 && w.end():
			w.now = w.now.Add(time.Duration(w.random.IntN(1000)) * time.Millisecond)
		case !wake.IsZero():
			w.now = wake
		default:
			if actions := w.state.Decide(w.now); len(actions) == 0 && !w.state.Done() {
				w.stranded()
			} else {
				for _, a := range actions {
					w.begin(a)
				}
			}
		}
	}
}

// reload reads the state again from its text, as a run that continues as new does.
func (w *world) reload() {
	if !w.state.Idle() {
		return
	}
	text, err := json.Marshal(w.state)
	if err != nil {
		w.fatalf("the state has no text: %v", err)
	}
	w.state = &rollout.State{}
	if err := json.Unmarshal(text, w.state); err != nil {
		w.fatalf("the state's text cannot be read: %v", err)
	}
}

// judge holds the end against what is there.
func (w *world) judge() {
	if len(w.running) > 0 {
		w.fatalf("it ended while %v ran", w.running)
	}
	wanted := rollout.Version{}
	switch w.state.Phase {
	case schemas.RolloutSucceeded:
		wanted = w.state.Target
	case schemas.RolloutRolledBack:
		wanted = w.state.Stable
		if w.state.Failure == nil {
			w.fatalf("it went back and does not say why")
		}
	case schemas.RolloutFailed:
		if w.state.Failure == nil {
			w.fatalf("it failed and does not say why")
		}
		return
	default:
		w.fatalf("it ended as %s", w.state.Phase)
	}
	if len(w.there) != wanted.Replicas {
		w.fatalf("%s with %d replicas, %d are declared", w.state.Phase, len(w.there), wanted.Replicas)
	}
	for name, t := range w.there {
		if t.set != wanted.Set || w.state.Balanced != t.in || !t.well {
			w.fatalf("%s, and %s is %+v", w.state.Phase, name, *t)
		}
	}
}

// Whatever the strategy, the sizes, the replicas that fail and the commands that come
// at any moment: never more replicas than allowed, never fewer that serve than allowed
// by a choice of the rollout, nothing is removed that may have a request, and it ends
// as it says.
func TestEveryRolloutKeepsItsLimitsAndEnds(t *testing.T) {
	ends := map[schemas.RolloutPhase]int{}
	for seed := range uint64(20_000) {
		w := newWorld(t, seed)
		w.log = append(w.log, fmt.Sprintf("seed %d: %+v", seed, *w.state))
		w.run()
		w.judge()
		ends[w.state.Phase]++
	}
	for _, phase := range []schemas.RolloutPhase{schemas.RolloutSucceeded, schemas.RolloutRolledBack, schemas.RolloutFailed} {
		if ends[phase] < 500 {
			t.Errorf("only %d runs ended as %s; the test looks at too little", ends[phase], phase)
		}
	}
}
