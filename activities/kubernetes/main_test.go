package kubernetes

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"windlass/activities"
	"windlass/activities/kubernetes/manifest"
	"windlass/dev/kubernetes"
	"windlass/dev/kubernetes/clustertest"
	"windlass/plan"
	"windlass/schemas"
)

var (
	shared clustertest.Shared
	bound  sync.Once
	// kubeconfig is that of the user to whom the role is bound.
	kubeconfig string
)

func TestMain(m *testing.M) { os.Exit(shared.Run(m)) }

// world is a provider on the shared cluster, with an Infrastructure of its own.
type world struct {
	*testing.T
	provider *Provider
	scope    schemas.Scope
	vault    *activities.Vault
	revision int
}

func newWorld(t *testing.T) *world {
	t.Helper()
	p, err := New(Config{Name: "docker", Kubeconfig: worker(t), QPS: 500, Burst: 1000})
	require.NoError(t, err)
	vault, err := activities.NewVault(make([]byte, activities.MasterKeySize), "")
	require.NoError(t, err)
	w := &world{T: t, provider: p, vault: vault, scope: schemas.Scope{Environment: "test", Infrastructure: "i" + strings.ToLower(rand.Text()[:8])}}
	t.Cleanup(func() { w.destroy(context.Background()) })
	return w
}

// worker is the kubeconfig of a user that may do what the documented role allows, and
// nothing else.
func worker(t *testing.T) string {
	t.Helper()
	c := shared.Cluster(t)
	bound.Do(func() {
		role, err := os.ReadFile("../../docs/reference/kubernetes-role.yaml")
		require.NoError(t, err)
		const path = "/apis/rbac.authorization.k8s.io/v1/"
		require.NoError(t, c.Request(t.Context(), http.MethodPost, path+"clusterroles", string(role), nil))
		require.NoError(t, c.Request(t.Context(), http.MethodPost, path+"clusterrolebindings", map[string]any{
			"metadata": map[string]any{"name": "windlass"},
			"roleRef":  map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "windlass"},
			"subjects": []any{map[string]any{"kind": "User", "name": kubernetes.Windlass}},
		}, nil))
		kubeconfig, err = c.KubeconfigFor(kubernetes.Windlass, c.Token(kubernetes.Windlass))
		require.NoError(t, err)
	})
	return kubeconfig
}

// document declares resources, each a line of YAML.
func (w *world) document(resources ...string) *schemas.Infrastructure {
	w.Helper()
	text := "apiVersion: windlass/v1\nkind: Infrastructure\nmetadata: {name: " + w.scope.Infrastructure + "}\nspec:\n  environment: " + w.scope.Environment + "\n  resources:\n"
	for _, r := range resources {
		text += "    - " + strings.ReplaceAll(strings.TrimSpace(r), "\n", "\n      ") + "\n"
	}
	document, err := schemas.Parse([]byte(text), nil)
	require.NoError(w, err, text)
	return document
}

// plan is what would be done to make reality what is declared.
func (w *world) plan(ctx context.Context, document *schemas.Infrastructure) plan.Plan {
	w.Helper()
	desired, err := activities.Declare(document, w.revision, w.providers())
	require.NoError(w, err)
	return w.planOf(ctx, desired)
}

func (w *world) planOf(ctx context.Context, desired []plan.Desired) plan.Plan {
	w.Helper()
	observed, err := w.provider.Observe(ctx, w.scope)
	require.NoError(w, err)
	for i, d := range desired {
		there := false
		for _, o := range observed {
			if o.Target == d.Target {
				there = true
				require.NoError(w, w.provider.Permit(d, o))
			}
		}
		if !there {
			desired[i].Adopts, err = w.provider.Adopts(ctx, d)
			require.NoError(w, err)
		}
	}
	return plan.Diff(desired, observed)
}

func (w *world) providers() activities.Providers {
	return activities.Providers{w.provider.name: w.provider}
}

// deploy makes reality what is declared, one operation after the other, and returns the
// plan that it ran.
func (w *world) deploy(document *schemas.Infrastructure) (plan.Plan, error) {
	w.Helper()
	w.revision++
	desired, err := activities.Declare(document, w.revision, w.providers())
	require.NoError(w, err)
	p := w.planOf(w.Context(), desired)
	byName := map[string]plan.Desired{}
	for _, d := range desired {
		byName[d.Resource] = d
	}
	for _, o := range p.Operations {
		if err := w.operate(w.Context(), o, byName[o.Resource]); err != nil {
			return p, err
		}
	}
	return p, nil
}

func (w *world) operate(ctx context.Context, o schemas.Operation, d plan.Desired) error {
	switch o.Action {
	case schemas.ActionDelete:
		return w.provider.Delete(ctx, plan.Target{Scope: w.scope, Resource: o.Resource, Type: o.Type, Provider: o.Provider}, func(string) {})
	case schemas.ActionCreate, schemas.ActionUpdate, schemas.ActionReplace:
		_, err := w.provider.Apply(ctx, d, w.vault.Open(w.scope), func(string) {})
		return err
	}
	return nil
}

func (w *world) mustDeploy(document *schemas.Infrastructure) plan.Plan {
	w.Helper()
	p, err := w.deploy(document)
	require.NoError(w, err)
	return p
}

// requireNothingToDo fails unless the plan of what is deployed is empty.
func (w *world) requireNothingToDo(document *schemas.Infrastructure) {
	w.Helper()
	// Controllers go on for a moment after all is ready: replicas that are counted, for one.
	require.Eventually(w, func() bool { return len(moves(w.plan(w.Context(), document))) == 0 }, time.Minute, 100*time.Millisecond,
		"the plan still is %v", func() any { return moves(w.plan(w.Context(), document)) })
	require.Empty(w, moves(w.plan(w.Context(), document)))
}

// moves are the operations of a plan that change something, in words.
func moves(p plan.Plan) []string {
	var all []string
	for _, o := range p.Operations {
		if o.Action.Moves() {
			all = append(all, string(o.Action)+" "+o.Resource+": "+o.Cause)
		}
	}
	return all
}

// destroy removes everything that is left of the Infrastructure.
func (w *world) destroy(ctx context.Context) {
	for _, o := range w.planOf(ctx, nil).Operations {
		if err := w.operate(ctx, o, plan.Desired{}); err != nil {
			w.Errorf("destroy: %v", err)
		}
	}
}

// patch changes an object by hand, as somebody with kubectl does.
func (w *world) patch(path string, change any) {
	w.Helper()
	text, err := json.Marshal(change)
	require.NoError(w, err)
	require.NoError(w, shared.Cluster(w.T).Request(w.Context(), "PATCH", path, json.RawMessage(text), nil))
}

// namespace is that of a Network, or the home namespace.
func (w *world) namespace(network string) string {
	if network == "" {
		return manifest.HomeNamespace(w.scope)
	}
	return manifest.NetworkNamespace(plan.Target{Scope: w.scope, Resource: network})
}

// requireNothingLeft fails unless the cluster has nothing of the Infrastructure any more.
func (w *world) requireNothingLeft() {
	w.Helper()
	observed, err := w.provider.Observe(w.Context(), w.scope)
	require.NoError(w, err)
	require.Empty(w, observed)
	namespaces, err := w.provider.list(w.Context(), kindNamespace, "", manifest.ScopeLabels(w.scope))
	require.NoError(w, err)
	for _, n := range namespaces {
		require.NotNil(w, n.GetDeletionTimestamp(), "namespace %s is left", n.GetName())
	}
}

// only is the name of the one object of a kind that the Infrastructure has.
func (w *world) only(kind schemaKind) string {
	w.Helper()
	found, err := w.provider.list(w.Context(), kind, "", manifest.ScopeLabels(w.scope))
	require.NoError(w, err)
	require.Len(w, found, 1)
	return found[0].GetName()
}
