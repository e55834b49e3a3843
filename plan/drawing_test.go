package plan

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"windlass/schemas"
)

var update = flag.Bool("update", false, "write the golden files anew")

// requireGolden compares text with a file in testdata.
func requireGolden(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), text)
}

// shop is a whole environment: 50 resources, of which most need several others.
func shop() Drawing {
	d := Drawing{Title: "production/shop"}
	states := []string{"create", "unchanged", "unchanged", "update", "unchanged", "replace", "unchanged"}
	add := func(kind schemas.ResourceType, name string, needs ...string) {
		d.Nodes = append(d.Nodes, Node{ID: name, Name: name, Type: kind, State: states[len(d.Nodes)%len(states)], Needs: needs})
	}
	for _, name := range []string{"public", "backend", "metrics"} {
		add(schemas.TypeNetwork, name)
	}
	for _, name := range []string{"uploads", "archive", "reports"} {
		add(schemas.TypeStorage, name)
	}
	for _, service := range []string{"users", "orders", "payments", "catalogue", "shipping", "reviews", "search", "mail"} {
		add(schemas.TypeDatabase, service+"-db", "backend")
		add(schemas.TypeCompute, service+"-migrate", "backend", service+"-db")
		add(schemas.TypeCompute, service, "backend", service+"-db", service+"-migrate")
		add(schemas.TypeCompute, service+"-metrics", "metrics", service)
	}
	add(schemas.TypeCompute, "media", "backend", "uploads")
	add(schemas.TypeCompute, "media-cache", "media")
	add(schemas.TypeCompute, "report-writer", "orders-db", "payments-db", "reports")
	add(schemas.TypeCompute, "archiver", "archive", "orders-db")
	add(schemas.TypeCompute, "api", "public", "users", "orders", "payments", "catalogue", "shipping", "reviews", "search")
	add(schemas.TypeCompute, "web", "public", "api", "media-cache")
	add(schemas.TypeCompute, "admin", "public", "api", "report-writer")
	add(schemas.TypeCompute, "newsletter", "mail", "users")
	add(schemas.TypeCompute, "edge", "public", "web", "admin")
	for _, name := range []string{"old-cache", "old-queue", "scratch"} {
		d.Nodes = append(d.Nodes, Node{ID: name, Name: name, Type: schemas.TypeStorage, State: "delete"})
	}
	return d
}

func TestADrawingOfAWholeEnvironment(t *testing.T) {
	d := shop()
	require.Len(t, d.Nodes, 50)
	svg, err := d.SVG()
	require.NoError(t, err)
	requireGolden(t, "shop.svg", svg)
	requireGolden(t, "shop.dot", d.DOT())
	requireGolden(t, "shop.mmd", d.Mermaid())
	again, err := shop().SVG()
	require.NoError(t, err)
	require.Equal(t, svg, again)
}

func TestAPlanIsDrawnWithWhatIsDone(t *testing.T) {
	// web is updated and leaves old, which is deleted after it; data was a Network.
	d := DrawOperations(schemas.PlanAnswer{
		Scope: scope, Summary: "1 to create",
		Operations: []schemas.Operation{
			{ID: "none backend", Action: schemas.ActionNone, Resource: "backend", Type: schemas.TypeNetwork},
			{ID: "update web", Action: schemas.ActionUpdate, Resource: "web", Type: schemas.TypeCompute, DependsOn: []string{"none backend"}},
			{ID: "delete old", Action: schemas.ActionDelete, Resource: "old", Type: schemas.TypeStorage, DependsOn: []string{"update web"}},
			{ID: "delete data", Action: schemas.ActionDelete, Resource: "data", Type: schemas.TypeNetwork},
			{ID: "create data", Action: schemas.ActionCreate, Resource: "data", Type: schemas.TypeStorage, DependsOn: []string{"delete data", "gone"}},
		},
	})
	require.Equal(t, scope.String()+": 1 to create", d.Title)
	require.Equal(t, []Node{
		{ID: "none backend", Name: "backend", Type: schemas.TypeNetwork, State: "unchanged"},
		{ID: "update web", Name: "web", Type: schemas.TypeCompute, State: "update", Needs: []string{"none backend", "delete old"}},
		{ID: "delete old", Name: "old", Type: schemas.TypeStorage, State: "delete"},
		{ID: "delete data", Name: "data", Type: schemas.TypeNetwork, State: "delete"},
		{ID: "create data", Name: "data", Type: schemas.TypeStorage, State: "create", Needs: []string{"delete data"}},
	}, d.Nodes)
}

func TestEveryActionAndStateHasALook(t *testing.T) {
	for _, action := range []schemas.Action{
		schemas.ActionCreate, schemas.ActionUpdate, schemas.ActionReplace, schemas.ActionDelete, schemas.ActionRetain, schemas.ActionNone,
	} {
		require.NotEqual(t, plainLook, lookOf(planWords[action]), action)
	}
	for _, state := range []schemas.ResourceState{
		schemas.ResourceCreating, schemas.ResourceUpdating, schemas.ResourceReplacing, schemas.ResourceReady, schemas.ResourceDrifted,
		schemas.ResourceDeleting, schemas.ResourceDeleted, schemas.ResourceFailed,
	} {
		require.NotEqual(t, plainLook, lookOf(string(state)), state)
	}
	require.Equal(t, plainLook, lookOf(""))
}
