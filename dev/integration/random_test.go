package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"

	"windlass/activities"
	"windlass/schemas"
)

const (
	// randomCases are random graphs, each edited at random and harmed by hand in
	// between; randomSideBySide of them run at a time.
	randomCases      = 20
	randomSideBySide = 4
)

// testRandom deploys random documents over each other. Whatever was there before,
// reality ends equal to the document, every operation comes after those it depends
// on, and a second plan is empty. What others have on the engine is left alone.
func testRandom(t *testing.T, w *world) {
	slots := make(chan struct{}, randomSideBySide)
	for seed := range uint64(randomCases) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			slots <- struct{}{}
			defer func() { <-slots }()
			c := &chance{Rand: rand.New(rand.NewPCG(seed, 7)), scope: scopeOf(newEnvironment(t)), subnets: seed}
			stranger := newStranger(t, c.scope)
			for revision := 1; revision <= 3; revision++ {
				text, wanted := c.document()
				t.Log(text)
				w.deploy(t, c.scope, text)
				w.requireEnd(t, c.scope, revision, schemas.StatusDeploymentSucceeded)
				requireObjects(t, c.scope.Environment, wanted...)
				require.Empty(t, w.moves(t, schemas.PlanRequest{Document: text}), "a second plan is not empty")
				c.harm(t)
			}
			w.requireOrder(t, c.scope)
			w.destroy(t, c.scope)
			w.requireEnd(t, c.scope, 4, schemas.StatusDeploymentSucceeded)
			w.settle(t, c.scope)
			requireObjects(t, c.scope.Environment)
			stranger.requireUntouched(t)
		})
	}
}

// chance makes documents of the names r0 to r7, so that one that follows another
// adds, removes, changes, renames and re-wires.
type chance struct {
	*rand.Rand
	scope   schemas.Scope
	subnets uint64
}

// document returns a random document and the objects that it declares.
func (c *chance) document() (text string, objects []string) {
	var resources strings.Builder
	var networks, volumes, served, all []string
	for n := range 2 + c.IntN(7) {
		name := fmt.Sprintf("r%d", n)
		if c.IntN(5) == 0 {
			continue
		}
		fmt.Fprintf(&resources, "    - name: %s\n", name)
		if len(all) > 0 && c.IntN(3) == 0 {
			fmt.Fprintf(&resources, "      dependsOn: [%s]\n", all[c.IntN(len(all))])
		}
		switch kind := c.IntN(5); {
		case kind == 0:
			// The engine has few subnets to pick from, and other tests need them.
			fmt.Fprintf(&resources, "      type: Network\n      properties: {subnet: 10.77.%d.%d/28, labels: {v: \"%d\"}}\n", c.subnets, 16*n, c.IntN(3))
			networks = append(networks, name)
			objects = append(objects, "network shop."+name)
		case kind == 1:
			fmt.Fprintf(&resources, "      type: Storage\n")
			volumes = append(volumes, name)
			objects = append(objects, "volume shop."+name)
		case kind == 4 && len(served) > 0:
			target := served[c.IntN(len(served))]
			fmt.Fprintf(&resources, "      type: LoadBalancer\n      properties:\n        target: ${%s.name}\n        stopGracePeriod: 1s\n        listen: [{port: %d, hostPort: 0, targetPort: 8080}]\n        trafficPolicy: {loadBalancer: %s}\n",
				target, 80+c.IntN(2), []string{"RoundRobin", "Random"}[c.IntN(2)])
			objects = append(objects, "container shop."+name+".0")
		default:
			fmt.Fprintf(&resources, "      type: Compute\n      properties:\n        image: windlass.local/fixture:1\n        stopGracePeriod: 1s\n        environment: {V: \"%d\"}\n", c.IntN(3))
			if c.list(&resources, "networks", networks, `"${%s.name}"`) {
				served = append(served, name)
			}
			c.list(&resources, "volumes", volumes, `{source: "${%s.name}", mountPath: /%[1]s}`)
			objects = append(objects, "container shop."+name+".0")
		}
		all = append(all, name)
	}
	if len(all) == 0 {
		return document(c.scope, "    []\n"), nil
	}
	return document(c.scope, resources.String()), objects
}

// list writes a property that refers to some of the names, and says whether there are any.
func (c *chance) list(b *strings.Builder, property string, names []string, format string) bool {
	var picked []string
	for _, name := range names {
		if c.IntN(2) == 0 {
			picked = append(picked, fmt.Sprintf(format, name))
		}
	}
	if len(picked) > 0 {
		fmt.Fprintf(b, "        %s: [%s]\n", property, strings.Join(picked, ", "))
	}
	return len(picked) > 0
}

// harm stops, changes or removes a container by hand, or leaves all as it is.
func (c *chance) harm(t *testing.T) {
	t.Helper()
	engine := newEngine(t)
	all, err := objectsOf(t.Context(), engine, c.scope.Environment)
	require.NoError(t, err)
	all = slices.DeleteFunc(all, func(o object) bool { return o.kind != "container" })
	if len(all) == 0 {
		return
	}
	victim := all[c.IntN(len(all))]
	id, name := victim.id, victim.name
	harm := c.IntN(4)
	t.Logf("harm %d to %s", harm, name)
	switch harm {
	case 0:
		_, err = engine.ContainerRemove(t.Context(), id, client.ContainerRemoveOptions{Force: true})
	case 1:
		_, err = engine.ContainerKill(t.Context(), id, client.ContainerKillOptions{Signal: "KILL"})
	case 2:
		_, err = engine.ContainerUpdate(t.Context(), id, client.ContainerUpdateOptions{Resources: &container.Resources{Memory: 64 << 20, MemorySwap: 64 << 20}})
	}
	require.NoError(t, err)
}

// moves are the operations that a plan would run.
func (w *world) moves(t *testing.T, request schemas.PlanRequest) []string {
	t.Helper()
	body, err := json.Marshal(request)
	require.NoError(t, err)
	message, err := w.conn.Request(schemas.QueryPlan, body, patience)
	require.NoError(t, err)
	require.Empty(t, message.Header.Get("Nats-Service-Error"))
	var answer schemas.PlanAnswer
	require.NoError(t, json.Unmarshal(message.Data, &answer))
	var ids []string
	for _, o := range answer.Operations {
		if o.Action.Moves() {
			ids = append(ids, o.ID+": "+o.Cause)
		}
	}
	return ids
}

// requireOrder fails unless every operation of every deployment began after those
// that it depends on had ended.
func (w *world) requireOrder(t *testing.T, scope schemas.Scope) {
	t.Helper()
	beginnings := map[string]schemas.Action{
		schemas.StatusResourceCreating: schemas.ActionCreate, schemas.StatusResourceUpdating: schemas.ActionUpdate,
		schemas.StatusResourceReplacing: schemas.ActionReplace, schemas.StatusResourceDeleting: schemas.ActionDelete,
	}
	waiting := map[string]schemas.Operation{}
	began := map[string]string{}
	for _, e := range w.story(t, scope) {
		switch {
		case e.Type == schemas.StatusDeploymentPlanned:
			waiting = map[string]schemas.Operation{}
			for _, o := range e.Deployment.Operations {
				waiting[o.ID] = o
			}
		case e.Resource == nil:
		case beginnings[e.Type] != "":
			for id, o := range waiting {
				if o.Resource == e.Resource.Resource && o.Action == beginnings[e.Type] && o.Type == e.Resource.Type {
					began[o.Resource+string(o.Type)] = id
					for _, before := range o.DependsOn {
						require.NotContains(t, waiting, before, "%s began before %s had ended", id, before)
					}
				}
			}
		default:
			delete(waiting, began[e.Resource.Resource+string(e.Resource.Type)])
		}
	}
}

// stranger has objects on the same engine whose names and labels are nearly those
// of a scope.
type stranger struct {
	container, network, volume string
	created                    string
}

func newStranger(t *testing.T, scope schemas.Scope) stranger {
	t.Helper()
	engine := newEngine(t)
	labels := map[string]string{
		activities.LabelEnvironment: "x" + scope.Environment, activities.LabelInfrastructure: scope.Infrastructure,
		activities.LabelResource: "r1", activities.LabelType: "Compute", activities.LabelProvider: "docker", activities.LabelReplica: "0",
	}
	name := "x" + scope.Environment + ".shop.r1"
	t.Cleanup(func() {
		ctx := context.Background()
		_, _ = engine.ContainerRemove(ctx, name+".0", client.ContainerRemoveOptions{Force: true})
		_, _ = engine.NetworkRemove(ctx, name, client.NetworkRemoveOptions{})
		_, _ = engine.VolumeRemove(ctx, name, client.VolumeRemoveOptions{})
	})
	s := stranger{network: name, volume: name}
	_, err := engine.NetworkCreate(t.Context(), name, client.NetworkCreateOptions{Labels: map[string]string{activities.LabelInfrastructure: scope.Infrastructure}, Internal: true})
	require.NoError(t, err)
	_, err = engine.VolumeCreate(t.Context(), client.VolumeCreateOptions{Name: name, Labels: map[string]string{activities.LabelResource: "r1"}})
	require.NoError(t, err)
	made, err := engine.ContainerCreate(t.Context(), client.ContainerCreateOptions{Name: name + ".0", Config: &container.Config{Image: "windlass.local/fixture:1", Labels: labels}})
	require.NoError(t, err)
	_, err = engine.ContainerStart(t.Context(), made.ID, client.ContainerStartOptions{})
	require.NoError(t, err)
	s.container = made.ID
	s.created = s.started(t)
	return s
}

func (s stranger) started(t *testing.T) string {
	t.Helper()
	c, err := newEngine(t).ContainerInspect(t.Context(), s.container, client.ContainerInspectOptions{})
	require.NoError(t, err)
	require.True(t, c.Container.State.Running)
	return c.Container.State.StartedAt
}

// requireUntouched fails unless all is there as it was.
func (s stranger) requireUntouched(t *testing.T) {
	t.Helper()
	engine := newEngine(t)
	require.Equal(t, s.created, s.started(t))
	_, err := engine.NetworkInspect(t.Context(), s.network, client.NetworkInspectOptions{})
	require.NoError(t, err)
	_, err = engine.VolumeInspect(t.Context(), s.volume, client.VolumeInspectOptions{})
	require.NoError(t, err)
}
