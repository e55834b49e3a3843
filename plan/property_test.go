package plan

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"windlass/schemas"
)

// world is a model of reality: what is there, by identity.
type world map[Target]Observed

func (w world) observed() []Observed { return slices.Collect(maps.Values(w)) }

// apply does one operation, and fails where reality would.
func (w world) apply(t *testing.T, o schemas.Operation, desired map[string]Desired) {
	t.Helper()
	at := Target{Scope: scope, Resource: o.Resource, Type: o.Type, Provider: o.Provider}
	if o.Action == schemas.ActionDelete {
		require.Contains(t, w, at, "%s: it is not there", o.ID)
		require.False(t, w[at].Retained, "%s: it is retained", o.ID)
		delete(w, at)
		return
	}
	if o.Action == schemas.ActionRetain {
		require.True(t, w[at].Retained, "%s: it is not retained", o.ID)
		return
	}
	d := desired[o.Resource]
	require.Equal(t, d.Target, at, "%s: it is not what is declared", o.ID)
	for _, name := range d.DependsOn {
		need := desired[name]
		there := w[need.Target]
		require.Equal(t, need.SpecHash, there.SpecHash, "%s: %s is not as declared yet", o.ID, name)
		require.Equal(t, StateReady, there.State, "%s: %s is not ready yet", o.ID, name)
	}
	_, there := w[at]
	require.Equal(t, o.Action != schemas.ActionCreate, there, "%s: whether it is there", o.ID)
	if o.Action != schemas.ActionNone {
		w[at] = Observed{Target: at, Revision: d.Revision, SpecHash: d.SpecHash, DependsOn: d.DependsOn, State: StateReady, Retained: w[at].Retained}
	}
}

type chance struct{ *rand.Rand }

func (c chance) one(of ...string) string { return of[c.IntN(len(of))] }

func (c chance) target(name string) Target {
	kind := schemas.ResourceType(c.one(string(schemas.TypeNetwork), string(schemas.TypeStorage), string(schemas.TypeCompute)))
	return target(name, kind, c.one("docker", "docker", "elsewhere"))
}

// declare is a random graph of n resources, in random order. Each depends on some
// that have a smaller number.
func (c chance) declare(n int) []Desired {
	all := make([]Desired, n)
	for i := range all {
		all[i] = Desired{Target: c.target(fmt.Sprintf("r%02d", i)), Revision: 2, SpecHash: c.one("1", "2")}
		for range c.IntN(4) {
			if i > 0 {
				all[i].DependsOn = append(all[i].DependsOn, fmt.Sprintf("r%02d", c.IntN(i)))
			}
		}
		slices.Sort(all[i].DependsOn)
		all[i].DependsOn = slices.Compact(all[i].DependsOn)
	}
	c.Shuffle(n, func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// find is a random reality: objects that are as declared, outdated, degraded, of
// another type, or unknown to the document, with dependencies that need not make sense.
func (c chance) find(desired []Desired, names int) world {
	w := world{}
	add := func(at Target, dependsOn []string) {
		o := Observed{Target: at, Revision: 1, SpecHash: c.one("1", "2"), DependsOn: dependsOn, State: StateReady}
		if c.IntN(4) == 0 {
			o.State, o.Reason, o.SpecHash = StateDegraded, "it is unwell", c.one("1", "")
		}
		o.Retained = at.Type == schemas.TypeStorage && c.IntN(3) == 0
		w[at] = o
	}
	for _, d := range desired {
		if c.IntN(3) > 0 {
			add(d.Target, d.DependsOn)
		}
	}
	for range c.IntN(names + 1) {
		var dependsOn []string
		for range c.IntN(4) {
			dependsOn = append(dependsOn, fmt.Sprintf("r%02d", c.IntN(names+10)))
		}
		add(c.target(fmt.Sprintf("r%02d", c.IntN(names+10))), dependsOn)
	}
	return w
}

func TestAnyPlanTakesAnyRealityToWhatIsDeclared(t *testing.T) {
	for seed := range uint64(10_000) {
		c := chance{rand.New(rand.NewPCG(seed, 1))}
		n := c.IntN(61)
		desired := c.declare(n)
		w := c.find(desired, n)
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			byName := map[string]Desired{}
			for _, d := range desired {
				byName[d.Resource] = d
			}
			p := Diff(desired, w.observed())
			// Runs take the operations in any order that the dependencies allow.
			for _, o := range c.someOrder(t, p) {
				w.apply(t, o, byName)
			}
			for _, d := range desired {
				require.Equal(t, d.SpecHash, w[d.Target].SpecHash)
				require.Equal(t, StateReady, w[d.Target].State)
			}
			for at, o := range w {
				require.True(t, o.Retained || byName[at.Resource].Target == at, "%v is left", at)
			}
			for _, o := range Diff(desired, w.observed()).Operations {
				require.False(t, o.Action.Moves(), o.ID)
			}
		})
	}
}

// someOrder is a random order of the operations in which each comes after its
// dependencies. The order of the plan itself must be one.
func (c chance) someOrder(t *testing.T, p Plan) []schemas.Operation {
	t.Helper()
	listed := map[string]bool{}
	for _, o := range p.Operations {
		require.False(t, listed[o.ID], "%s comes twice", o.ID)
		for _, id := range o.DependsOn {
			require.True(t, listed[id], "%s comes before %s", o.ID, id)
		}
		listed[o.ID] = true
	}
	done := map[string]bool{}
	var order []schemas.Operation
	for waiting := slices.Clone(p.Operations); len(waiting) > 0; {
		i := c.IntN(len(waiting))
		if !slices.ContainsFunc(waiting[i].DependsOn, func(id string) bool { return !done[id] }) {
			done[waiting[i].ID] = true
			order = append(order, waiting[i])
			waiting = slices.Delete(waiting, i, i+1)
		}
	}
	return order
}

// Where reality is what one document left, nothing is deleted that something else
// still uses, whatever the next document makes of the names.
func TestNothingIsDeletedThatIsStillInUse(t *testing.T) {
	for seed := range uint64(1000) {
		c := chance{rand.New(rand.NewPCG(seed, 2))}
		w := world{}
		n := c.IntN(61)
		for _, d := range c.declare(n) {
			w[d.Target] = Observed{Target: d.Target, Revision: 1, SpecHash: d.SpecHash, DependsOn: d.DependsOn, State: StateReady}
		}
		desired := c.declare(n)
		byName := map[string]Desired{}
		for i, d := range desired {
			desired[i].SpecHash = "new" // what refers to another resource than before is another declaration
			byName[d.Resource] = desired[i]
		}
		for _, o := range c.someOrder(t, Diff(desired, w.observed())) {
			if o.Action == schemas.ActionDelete {
				for at, user := range w {
					// What was made a moment ago uses what is declared under the name.
					require.False(t, user.Revision == 1 && slices.Contains(user.DependsOn, o.Resource), "seed %d: %s while %v uses it", seed, o.ID, at)
				}
			}
			w.apply(t, o, byName)
		}
	}
}

func TestNothingProtectedIsDeletedOrReplaced(t *testing.T) {
	for seed := range uint64(1000) {
		c := chance{rand.New(rand.NewPCG(seed, 3))}
		desired := c.declare(c.IntN(31))
		for i := range desired {
			desired[i].ReplaceOn = [][]string{nil, {AnyProperty}, {"field"}}[c.IntN(3)]
		}
		w := c.find(desired, 30)
		for at, o := range w {
			o.Protected = c.IntN(5) == 0
			w[at] = o
		}
		p := Diff(desired, w.observed())
		require.Equal(t, p, Diff(desired, w.observed()), "seed %d: the plan depends on chance", seed)
		gone := map[string]bool{}
		for _, o := range p.Operations {
			at := Target{Scope: scope, Resource: o.Resource, Type: o.Type, Provider: o.Provider}
			if o.Action == schemas.ActionDelete || o.Action == schemas.ActionReplace {
				require.False(t, w[at].Protected, "seed %d: %s", seed, o.ID)
			}
			gone[o.Resource] = gone[o.Resource] || o.Action == schemas.ActionDelete
		}
		for at, o := range w {
			isDeclared := slices.ContainsFunc(desired, func(d Desired) bool { return d.Target == at })
			for _, used := range o.DependsOn {
				require.False(t, o.Protected && !isDeclared && gone[used], "seed %d: %s is gone, which %s needs", seed, used, o.Resource)
			}
		}
	}
}
