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
	shared = clustertest.Shared{Options: kubernetes.Options{
		Users:      []kubernetes.User{{Name: asOperator}},
		GatewayAPI: true,
	}}
	bound sync.Once
	// kubeconfigs are those of the users to whom the roles are bound.
	kubeconfigs = map[string]string{}
)

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
	return newWorldWith(t, kubeconfigOf(t, asWorker))
}

// newWorldWith is a world whose provider has a kubeconfig.
func newWorldWith(t *testing.T, kubeconfig string) *world {
	t.Helper()
	p, err := New(Config{Name: "docker", Kubeconfig: kubeconfig, QPS: 500, Burst: 1000})
	require.NoError(t, err)
	vault, err := activities.NewVault(make([]byte, activities.MasterKeySize), "")
	require.NoError(t, err)
	w := &world{T: t, provider: p, vault: vault, scope: schemas.Scope{Environment: "test", Infrastructure: "i" + strings.ToLower(rand.Text()[:8])}}
	t.Cleanup(func() { w.destroy(context.Background()) })
	return w
}

// The kubeconfigs with which tests work: of users that may do what the documented roles
// allow, and nothing else, and of one who may do everything.
const (
	asWorker   = kubernetes.Windlass
	asOperator = "operator"
)

// kubeconfigOf is the kubeconfig of a user, to whom the roles are bound.
func kubeconfigOf(t *testing.T, user string) string {
	t.Helper()
	c := shared.Cluster(t)
	bound.Do(func() {
		bind(t, "kubernetes-role.yaml", "windlass", asWorker, asOperator)
		bind(t, "kubernetes-objects-role.yaml", "windlass-objects", asOperator)
		for _, u := range []string{asWorker, asOperator} {
			path, err := c.KubeconfigFor(u, c.Token(u))
			require.NoError(t, err)
			kubeconfigs[u] = path
		}
	})
	require.Contains(t, kubeconfigs, user)
	return kubeconfigs[user]
}

// bind makes a role of the documentation, and binds it to users.
func bind(t *testing.T, file, name string, users ...string) {
	t.Helper()
	role, err := os.ReadFile("../../docs/reference/" + file)
	require.NoError(t, err)
	const path = "/apis/rbac.authorization.k8s.io/v1/"
	require.NoError(t, shared.Cluster(t).Request(t.Context(), http.MethodPost, path+"clusterroles", string(role), nil))
	var subjects []any
	for _, user := range users {
		subjects = append(subjects, map[string]any{"kind": "User", "name": user})
	}
	require.NoError(t, shared.Cluster(t).Request(t.Context(), http.MethodPost, path+"clusterrolebindings", map[string]any{
		"metadata": map[string]any{"name": name}, "subjects": subjects,
		"roleRef": map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
	}, nil))
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

// observed is what the provider sees now.
func (w *world) observed() []plan.Observed {
	w.Helper()
	observed, err := w.provider.Observe(w.Context(), w.scope)
	require.NoError(w, err)
	return observed
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
	require.Empty(w, w.observed())
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
