package plan

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"windlass/schemas"
)

var scope = schemas.Scope{Environment: "staging", Infrastructure: "users"}

func target(name string, kind schemas.ResourceType, provider string) Target {
	return Target{Scope: scope, Resource: name, Type: kind, Provider: provider}
}

// declared is a Network of the provider docker, of revision 2.
func declared(name, hash string, dependsOn ...string) Desired {
	return Desired{Target: target(name, schemas.TypeNetwork, "docker"), Revision: 2, SpecHash: hash, DependsOn: dependsOn}
}

// found is a ready Network of the provider docker, of revision 1.
func found(name, hash string, dependsOn ...string) Observed {
	return Observed{Target: target(name, schemas.TypeNetwork, "docker"), Revision: 1, SpecHash: hash, DependsOn: dependsOn, State: StateReady}
}

// lines are the operations of a plan as text: id, cause and what each comes after.
func lines(p Plan) []string {
	out := make([]string, len(p.Operations))
	for i, o := range p.Operations {
		out[i] = fmt.Sprintf("%s: %s", o.ID, o.Cause)
		if len(o.DependsOn) > 0 {
			out[i] += fmt.Sprintf(" %q", o.DependsOn)
		}
	}
	return out
}

func degraded(o Observed, hash, reason string) Observed {
	o.SpecHash, o.State, o.Reason = hash, StateDegraded, reason
	return o
}

func retained(o Observed) Observed {
	o.Retained = true
	return o
}

func protected(o Observed) Observed {
	o.Protected = true
	return o
}

func immutable(d Desired) Desired {
	d.ReplaceOn = []string{AnyProperty}
	return d
}

// replacedOn is a declaration with properties, of which a change of driver replaces
// what exists.
func replacedOn(d Desired, properties string) Desired {
	d.ReplaceOn, d.Properties = []string{"driver"}, json.RawMessage(properties)
	return d
}

func made(o Observed, properties string) Observed {
	o.Properties = json.RawMessage(properties)
	return o
}

func of(o Observed, kind schemas.ResourceType, provider string) Observed {
	o.Type, o.Provider = kind, provider
	return o
}

// adopting says what a resource takes, or took, over.
func adopting[T Desired | Observed](r T, what string) T {
	switch r := any(&r).(type) {
	case *Desired:
		r.Adopts = what
	case *Observed:
		r.Adopted = what
	}
	return r
}

func TestDiff(t *testing.T) {
	tests := map[string]struct {
		desired  []Desired
		observed []Observed
		want     []string
		text     string
	}{
		"nothing declared and nothing there": {nil, nil, []string{}, "nothing to do"},
		"what is not there is created after what it needs": {
			[]Desired{declared("web", "w", "db"), declared("db", "d", "backend"), declared("backend", "b")}, nil,
			[]string{`create backend: is declared and not there`, `create db: is declared and not there ["create backend"]`, `create web: is declared and not there ["create db"]`},
			"3 to create",
		},
		"what is as declared is left alone": {
			[]Desired{declared("web", "w", "db"), declared("db", "d")}, []Observed{found("db", "d"), found("web", "w", "db")},
			[]string{`none db: is as declared`, `none web: is as declared ["none db"]`},
			"2 unchanged",
		},
		"what exists is taken over": {
			[]Desired{adopting(declared("data", "d"), `volume "shop"`)}, nil,
			[]string{`create data: volume "shop" is there`},
			"1 to create",
		},
		"what was taken over is given back": {
			nil, []Observed{adopting(found("data", "d"), `volume "shop"`)},
			[]string{`delete data (Network, docker): is no longer declared; volume "shop" stays`},
			"1 to delete",
		},
		"what differs is updated": {
			[]Desired{declared("db", "new")}, []Observed{found("db", "old")},
			[]string{`update db: its declaration differs from that of revision 1`},
			"1 to update",
		},
		"what has a property that cannot be changed in place is replaced": {
			[]Desired{replacedOn(declared("data", "new"), `{"driver": "fast", "size": "1Gi"}`)}, []Observed{made(found("data", "old"), `{"driver": "slow", "size": "1Gi"}`)},
			[]string{`replace data: changes driver from "slow" to "fast"`},
			"1 to replace",
		},
		"what can be changed in place beside it is updated": {
			[]Desired{replacedOn(declared("data", "new"), `{"driver": "fast", "driverName": "b"}`)}, []Observed{made(found("data", "old"), `{"driver": "fast", "driverName": "a"}`)},
			[]string{`update data: changes driverName from "a" to "b"`},
			"1 to update",
		},
		"what is degraded is mended": {
			[]Desired{declared("db", "d")}, []Observed{degraded(found("db", "d"), "d", "2 of 3 replicas run")},
			[]string{`update db: 2 of 3 replicas run`},
			"1 to update",
		},
		"what is of mixed versions is mended": {
			[]Desired{declared("db", "d")}, []Observed{degraded(found("db", ""), "", "its replicas are of different revisions")},
			[]string{`update db: its replicas are of different revisions`},
			"1 to update",
		},
		"what is no longer declared is deleted after what used it": {
			nil, []Observed{found("backend", "b"), found("db", "d", "backend"), found("web", "w", "db", "backend")},
			[]string{
				`delete web (Network, docker): is no longer declared`,
				`delete db (Network, docker): is no longer declared ["delete web (Network, docker)"]`,
				`delete backend (Network, docker): is no longer declared ["delete db (Network, docker)" "delete web (Network, docker)"]`,
			},
			"3 to delete",
		},
		"what is no longer declared goes after what used it has moved on": {
			[]Desired{declared("web", "new")}, []Observed{found("cache", "c"), found("web", "old", "cache")},
			[]string{
				`update web: its declaration differs from that of revision 1`,
				`delete cache (Network, docker): is no longer declared ["update web"]`,
			},
			"1 to update, 1 to delete",
		},
		"another type takes a name at once where what used the former one needs it": {
			[]Desired{declared("data", "d"), declared("web", "new", "data")},
			[]Observed{of(found("data", "s"), schemas.TypeStorage, "docker"), found("web", "old", "data")},
			[]string{
				`create data: is declared and not there`,
				`update web: its declaration differs from that of revision 1 ["create data"]`,
				`delete data (Storage, docker): is declared as Network of provider docker now ["update web"]`,
			},
			"1 to create, 1 to update, 1 to delete",
		},
		"another place takes a name only when it is free": {
			[]Desired{declared("data", "d")}, []Observed{of(found("data", "d"), schemas.TypeNetwork, "elsewhere")},
			[]string{
				`delete data (Network, elsewhere): is declared as Network of provider docker now`,
				`create data: is declared and not there ["delete data (Network, elsewhere)"]`,
			},
			"1 to create, 1 to delete",
		},
		"a name that is there twice is kept once": {
			[]Desired{declared("data", "d")}, []Observed{of(found("data", "x"), schemas.TypeStorage, "docker"), found("data", "d")},
			[]string{
				`delete data (Storage, docker): is declared as Network of provider docker now`,
				`none data: is as declared ["delete data (Storage, docker)"]`,
			},
			"1 to delete, 1 unchanged",
		},
		"what is retained stays when it is no longer declared": {
			nil, []Observed{retained(found("data", "d", "backend")), found("backend", "b")},
			[]string{
				`delete backend (Network, docker): is no longer declared`,
				`retain data (Network, docker): is no longer declared, and was made to be retained`,
			},
			"1 to delete, 1 retained",
		},
		"what is retained stays beside another type of its name": {
			[]Desired{declared("data", "d")}, []Observed{retained(of(found("data", "x"), schemas.TypeStorage, "docker"))},
			[]string{
				`create data: is declared and not there`,
				`retain data (Storage, docker): is declared as Network of provider docker now, and was made to be retained`,
			},
			"1 to create, 1 retained",
		},
		"what is retained is used again when it is declared again": {
			[]Desired{declared("data", "d")}, []Observed{retained(found("data", "d"))},
			[]string{`none data: is as declared`},
			"1 unchanged",
		},
		"what cannot be changed in place is replaced": {
			[]Desired{immutable(declared("backend", "new"))}, []Observed{found("backend", "old")},
			[]string{`replace backend: its declaration differs from that of revision 1`},
			"1 to replace",
		},
		"what cannot be changed in place is mended in place": {
			[]Desired{immutable(declared("backend", "b"))}, []Observed{degraded(found("backend", "b"), "b", "a container is not connected")},
			[]string{`update backend: a container is not connected`},
			"1 to update",
		},
		"what is protected stays, with all that it needs": {
			nil, []Observed{found("backend", "b"), found("web", "w", "db"), protected(found("db", "d", "backend"))},
			[]string{
				`delete web (Network, docker): is no longer declared`,
				`retain backend (Network, docker): is no longer declared, but db, which is protected, needs it`,
				`retain db (Network, docker): is no longer declared, but is protected`,
			},
			"1 to delete, 2 retained",
		},
		"what is protected is not replaced": {
			[]Desired{immutable(declared("backend", "new"))}, []Observed{protected(found("backend", "old"))},
			[]string{`retain backend (Network, docker): its declaration differs from that of revision 1, which would replace it, but is protected`},
			"1 retained",
		},
		"what is protected does not make way for another type": {
			[]Desired{declared("data", "d")}, []Observed{protected(of(found("data", "x"), schemas.TypeStorage, "docker"))},
			[]string{
				`create data: is declared and not there`,
				`retain data (Storage, docker): is declared as Network of provider docker now, but is protected`,
			},
			"1 to create, 1 retained",
		},
		"what is protected is updated in place": {
			[]Desired{declared("db", "new")}, []Observed{protected(found("db", "old"))},
			[]string{`update db: its declaration differs from that of revision 1`},
			"1 to update",
		},
		"objects of different revisions that contradict each other are deleted all the same": {
			nil, []Observed{found("a", "a", "b"), found("b", "b", "a"), found("c", "c", "c")},
			[]string{
				`delete b (Network, docker): is no longer declared`,
				`delete a (Network, docker): is no longer declared ["delete b (Network, docker)"]`,
				`delete c (Network, docker): is no longer declared`,
			},
			"3 to delete",
		},
		"a dependency on something outside the document is no edge": {
			[]Desired{declared("web", "w", "elsewhere")}, []Observed{found("web", "w", "nowhere")},
			[]string{`none web: is as declared`},
			"1 unchanged",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p := Diff(test.desired, test.observed)
			require.Equal(t, test.want, lines(p))
			require.Equal(t, test.text, p.String())

			slices.Reverse(test.desired)
			slices.Reverse(test.observed)
			require.Equal(t, p, Diff(test.desired, test.observed), "the plan depends on the order of what it is made from")
		})
	}
}

func TestEveryOperationSaysWhatItMoves(t *testing.T) {
	p := Diff([]Desired{declared("data", "d")}, []Observed{of(found("data", "x"), schemas.TypeStorage, "elsewhere")})
	require.Equal(t, []schemas.Operation{
		{ID: "delete data (Storage, elsewhere)", Action: schemas.ActionDelete, Resource: "data", Type: schemas.TypeStorage, Provider: "elsewhere", Cause: "is declared as Network of provider docker now"},
		{ID: "create data", Action: schemas.ActionCreate, Resource: "data", Type: schemas.TypeNetwork, Provider: "docker", Cause: "is declared and not there", DependsOn: []string{"delete data (Storage, elsewhere)"}},
	}, p.Operations)
}

func TestAPlanNamesWhatProtectionKeeps(t *testing.T) {
	p := Diff([]Desired{immutable(declared("backend", "new"))}, []Observed{protected(found("backend", "old")), protected(found("db", "d", "cache")), found("cache", "c")})
	var kept []string
	for _, o := range p.Protected() {
		kept = append(kept, o.Resource)
	}
	require.Equal(t, []string{"backend", "db"}, kept, "cache is kept for db, and is not protected itself")
}

func TestStringCountsEveryAction(t *testing.T) {
	p := Diff(
		[]Desired{declared("a", "1"), declared("b", "1"), declared("c", "2"), declared("d", "1"), declared("e", "1"), declared("f", "1")},
		[]Observed{found("c", "1"), found("d", "1"), found("e", "1"), found("f", "1"), found("g", "1")},
	)
	require.Equal(t, "2 to create, 1 to update, 1 to delete, 3 unchanged", p.String())
}

func TestAHashFollowsWhatIsDeclaredAndNotHowItIsWritten(t *testing.T) {
	hash := func(kind schemas.ResourceType, properties string) string {
		h, err := Hash(kind, []byte(properties))
		require.NoError(t, err)
		require.Len(t, h, 64)
		return h
	}
	one := hash(schemas.TypeCompute, `{"image":"a","ports":[{"containerPort":80},{"containerPort":81}]}`)
	require.Equal(t, one, hash(schemas.TypeCompute, "{ \"ports\": [{\"containerPort\": 80},\n{\"containerPort\":81}], \"image\": \"\\u0061\" }"))
	for name, other := range map[string]string{
		"another type":     hash(schemas.TypeDatabase, `{"image":"a","ports":[{"containerPort":80},{"containerPort":81}]}`),
		"another value":    hash(schemas.TypeCompute, `{"image":"b","ports":[{"containerPort":80},{"containerPort":81}]}`),
		"another order":    hash(schemas.TypeCompute, `{"image":"a","ports":[{"containerPort":81},{"containerPort":80}]}`),
		"a further member": hash(schemas.TypeCompute, `{"image":"a","user":"","ports":[{"containerPort":80},{"containerPort":81}]}`),
		"nothing":          hash(schemas.TypeCompute, ``),
	} {
		require.NotEqual(t, one, other, name)
	}
	_, err := Hash(schemas.TypeCompute, []byte(`{"image":`))
	require.ErrorContains(t, err, "hash of Compute")
}
