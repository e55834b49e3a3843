package starter

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"windlass/schemas"
)

// shelf is a cluster in which objects are what the last request made of them.
type shelf struct {
	mu       sync.Mutex
	objects  map[string]json.RawMessage
	requests []string
	// late are the kinds that are not ready when they are applied, but when they are read.
	late []string
}

// startShelf is a worker with an engine and that cluster.
func startShelf(t *testing.T, late ...string) (*fakeWorker, *shelf) {
	t.Helper()
	w := startWorker(t, nil)
	s := &shelf{objects: map[string]json.RawMessage{}, late: late}
	w.providers = schemas.ProvidersAnswer{Providers: []schemas.ProviderStatus{{Name: "docker", Kind: schemas.ProviderDocker}, {Name: "prod-eu", Kind: schemas.ProviderKubernetes}}}
	w.objects = s.answer
	return w, s
}

func (s *shelf) answer(provider string, verb schemas.ObjectVerb, data []byte) (any, string, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var request struct {
		Kind, Name, Namespace string
		Object                json.RawMessage
		Force, DryRun         bool
		Cascade               string
	}
	if err := json.Unmarshal(data, &request); err != nil {
		return nil, "400", err.Error()
	}
	head := headOf(request.Object)
	key := request.Kind + " " + request.Name
	if head.Kind != "" {
		key = head.Kind + " " + head.Metadata.Name
	}
	said := fmt.Sprintf("%s %s %s", provider, verb, key)
	for _, option := range []struct {
		name  string
		given bool
	}{{"namespace=" + request.Namespace, request.Namespace != ""}, {"force", request.Force}, {"dry-run", request.DryRun}, {"cascade=" + request.Cascade, request.Cascade != ""}} {
		if option.given {
			said += " " + option.name
		}
	}
	s.requests = append(s.requests, said)
	object, there := s.objects[key]
	condition := schemas.ObjectCondition{Ready: true}
	switch {
	case strings.Contains(key, "forbidden"):
		return nil, "403", "apply " + key + ": the worker's user may not"
	case verb == schemas.ObjectCreate && there:
		return nil, "409", "create " + key + ": it is there already"
	case (verb == schemas.ObjectGet || verb == schemas.ObjectUpdate || verb == schemas.ObjectDelete) && !there:
		return nil, "404", "there is no " + key
	case verb == schemas.ObjectGet:
		return schemas.ObjectAnswer{Object: object, ObjectCondition: condition}, "", ""
	case verb == schemas.ObjectDelete:
		delete(s.objects, key)
		return schemas.ObjectAnswer{Object: object, Outcome: schemas.ObjectDeleting}, "", ""
	}
	for _, kind := range s.late {
		condition.Ready = condition.Ready && kind != head.Kind
	}
	s.objects[key] = request.Object
	outcome := schemas.ObjectCreated
	if there {
		outcome = schemas.ObjectUpdated
	}
	return schemas.ObjectAnswer{Object: request.Object, Outcome: outcome, ObjectCondition: condition}, "", ""
}

const manifests = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec: {replicas: 3}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {port: "8080"}
---
apiVersion: v1
kind: Namespace
metadata: {name: shop}
`

func TestObjectsAreAppliedInTheOrderInWhichTheyNeedEachOther(t *testing.T) {
	t.Parallel()
	w, s := startShelf(t, "Namespace")
	path := file(t, "shop.yaml", manifests)
	p := ran(t, ExitDone, w.url, "kubernetes", "apply", "-f", path, "-n", "tools", "--force")
	require.Equal(t, "Namespace shop created\nConfigMap settings created\nDeployment shop/web created\n", p.stdout.String())
	require.Equal(t, []string{
		"prod-eu apply Namespace shop namespace=tools force",
		"prod-eu get Namespace shop",
		"prod-eu apply ConfigMap settings namespace=tools force",
		"prod-eu apply Deployment web namespace=tools force",
	}, s.requests)

	p = startWith(t, w.url, strings.NewReader(manifests), "kubernetes", "apply", "-f", "-", "--dry-run", "--provider", "prod-eu", "-o", "json")
	require.Equal(t, ExitDone, p.wait(t), p.stderr.String())
	lines := jsonOutputOf(t, p, "kubernetes.apply")
	require.Equal(t, map[string]any{"kind": "Deployment", "namespace": "shop", "name": "web", "outcome": "updated", "dryRun": true}, lines[3])
	require.Equal(t, "prod-eu apply Namespace shop dry-run", s.requests[4])
	require.Len(t, s.requests, 7, "what is not made is not waited for")
}

func TestOnlyNewOrOnlyPresentObjectsCanBeMeant(t *testing.T) {
	t.Parallel()
	w, s := startShelf(t)
	path := file(t, "shop.yaml", manifests)
	p := ran(t, ExitNotFound, w.url, "kubernetes", "apply", "-f", path, "--update-only")
	require.Equal(t, "windlass: "+path+":6: ConfigMap settings: there is no ConfigMap settings\n"+
		"windlass: "+path+":1: Deployment shop/web: there is no Deployment web\n"+
		"windlass: 3 of 3 objects failed; the first one is\n"+
		"windlass: "+path+":11: Namespace shop: there is no Namespace shop\n", p.stderr.String())
	ran(t, ExitDone, w.url, "kubernetes", "apply", "-f", path, "--create-only")
	p = ran(t, ExitRejected, w.url, "kubernetes", "apply", "-f", path, "--create-only")
	require.Contains(t, p.stderr.String(), path+":11: Namespace shop: create Namespace shop: it is there already")
	p = ran(t, ExitDone, w.url, "kubernetes", "apply", "-f", path, "--update-only")
	require.Equal(t, "Namespace shop updated\nConfigMap settings updated\nDeployment shop/web updated\n", p.stdout.String())
	require.Contains(t, s.requests, "prod-eu create Deployment web")
}

func TestWhatFailsKeepsNothingElseFromBeingApplied(t *testing.T) {
	t.Parallel()
	w, _ := startShelf(t)
	path := file(t, "shop.yaml", strings.Replace(manifests, "name: settings", "name: forbidden", 1))
	p := ran(t, ExitRejected, w.url, "kubernetes", "apply", "-f", path)
	require.Equal(t, "Namespace shop created\nDeployment shop/web created\n", p.stdout.String())
	require.Equal(t, "windlass: "+path+":6: ConfigMap forbidden: apply ConfigMap forbidden: the worker's user may not\n", p.stderr.String())

	wrong := file(t, "wrong.yaml", manifests+"---\nkind: Pod\n")
	p = ran(t, ExitRejected, w.url, "kubernetes", "apply", "-f", wrong)
	require.Equal(t, wrong+":15:1: \"apiVersion\" is missing, without which nobody knows which object this is\nwindlass: "+wrong+" is rejected: 1 fault\n", p.stderr.String())
	require.Empty(t, p.stdout.String())
}

func TestAnObjectIsPrintedAsYAML(t *testing.T) {
	t.Parallel()
	w, s := startShelf(t)
	s.objects["deploy web"] = json.RawMessage(`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web","annotations":{"on":"yes","size":"10"}},"spec":{"replicas":3,"text":"a\nb\n"}}`)
	p := ran(t, ExitDone, w.url, "kubernetes", "get", "deploy", "web", "-n", "shop")
	requireGolden(t, "kubernetes-get", p.stdout.String())
	require.Equal(t, []string{"prod-eu get deploy web namespace=shop"}, s.requests)
	p = ran(t, ExitDone, w.url, "kubernetes", "get", "deploy", "web", "-o", "json")
	require.Equal(t, 3.0, jsonOutputOf(t, p, "kubernetes.get")[1]["object"].(map[string]any)["spec"].(map[string]any)["replicas"])
	p = ran(t, ExitNotFound, w.url, "kubernetes", "get", "deploy", "api")
	require.Equal(t, "windlass: there is no deploy api\n", p.stderr.String())
}

func TestObjectsAreListedPageByPage(t *testing.T) {
	t.Parallel()
	w, _ := startShelf(t)
	now := time.Now()
	summary := func(namespace, name string, waits string) schemas.ObjectSummary {
		return schemas.ObjectSummary{
			APIVersion: "apps/v1", Kind: "Deployment", Namespace: namespace, Name: name, Created: now.Add(-3 * time.Minute),
			ObjectCondition: schemas.ObjectCondition{Ready: waits == "", Waits: waits},
		}
	}
	var asked []schemas.ObjectListRequest
	w.objects = func(_ string, _ schemas.ObjectVerb, data []byte) (any, string, string) {
		var request schemas.ObjectListRequest
		_ = json.Unmarshal(data, &request)
		asked = append(asked, request)
		switch {
		case request.Kind == "pods":
			return schemas.ObjectListAnswer{}, "", ""
		case request.Continue == "":
			return schemas.ObjectListAnswer{Objects: []schemas.ObjectSummary{summary("shop", "api", ""), summary("shop", "web", "Available: 1/3")}, Continue: "page 2"}, "", ""
		}
		return schemas.ObjectListAnswer{Objects: []schemas.ObjectSummary{summary("tools", "runner", "")}}, "", ""
	}
	p := ran(t, ExitDone, w.url, "kubernetes", "list", "deploy", "-l", "app=web")
	requireGolden(t, "kubernetes-list", p.stdout.String())
	require.Equal(t, []schemas.ObjectListRequest{{Kind: "deploy", Selector: "app=web"}, {Kind: "deploy", Selector: "app=web", Continue: "page 2"}}, asked)
	p = ran(t, ExitDone, w.url, "kubernetes", "list", "deploy", "-o", "json")
	require.Len(t, jsonOutputOf(t, p, "kubernetes.list"), 4)
	p = ran(t, ExitDone, w.url, "kubernetes", "list", "pods", "-n", "shop")
	require.Equal(t, "windlass: there is no object of kind pods\n", p.stderr.String())
	require.Equal(t, "shop", asked[len(asked)-1].Namespace)
}

func TestObjectsAreDeleted(t *testing.T) {
	t.Parallel()
	w, s := startShelf(t)
	for _, name := range []string{"a", "b"} {
		s.objects["cm "+name] = json.RawMessage(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"namespace":"shop","name":"` + name + `"}}`)
	}
	p := ran(t, ExitUsage, w.url, "kubernetes", "delete", "cm", "a")
	require.Equal(t, "windlass: delete asks only on a terminal; elsewhere give --yes\n", p.stderr.String())
	p = ran(t, ExitNotFound, w.url, "kubernetes", "delete", "cm", "a", "gone", "b", "--yes", "--force", "--cascade", "orphan", "-n", "shop")
	require.Equal(t, "ConfigMap shop/a deleting; it goes once its grace period and its finalizers are over\nConfigMap shop/b deleting; it goes once its grace period and its finalizers are over\n", p.stdout.String())
	require.Equal(t, "windlass: there is no cm gone\n", p.stderr.String())
	require.Equal(t, "prod-eu delete cm a namespace=shop force cascade=orphan", s.requests[0])
}

func TestTheClusterIsTheOnlyOneOrNamed(t *testing.T) {
	t.Parallel()
	w, _ := startShelf(t)
	several := startWorker(t, nil)
	several.providers = schemas.ProvidersAnswer{Providers: []schemas.ProviderStatus{{Name: "prod-eu", Kind: schemas.ProviderKubernetes}, {Name: "prod-us", Kind: schemas.ProviderKubernetes}}}
	none := startWorker(t, nil)
	none.providers = schemas.ProvidersAnswer{Providers: []schemas.ProviderStatus{{Name: "docker", Kind: schemas.ProviderDocker}}}
	for line, c := range map[string]struct {
		w    *fakeWorker
		code ExitCode
		args []string
	}{
		"the worker has several clusters: name one with --provider prod-eu|prod-us":                                                          {several, ExitUsage, []string{"list", "pods"}},
		"the worker has no provider of kind kubernetes; name a cluster in the workers' file of providers":                                    {none, ExitNotFound, []string{"list", "pods"}},
		`--provider "a.b" is no name of a provider; see: windlass providers`:                                                                 {w, ExitUsage, []string{"list", "pods", "--provider", "a.b"}},
		"name a file with -f; -f - is stdin":                                                                                                 {w, ExitUsage, []string{"apply"}},
		`--cascade "all" is not accepted; accepted are background, foreground and orphan`:                                                    {w, ExitUsage, []string{"delete", "cm", "a", "--yes", "--cascade", "all"}},
		"NAME is missing: windlass kubernetes get KIND NAME [flags]; windlass kubernetes list shows all; see windlass kubernetes get --help": {w, ExitUsage, []string{"get", "pods"}},
	} {
		t.Run(line, func(t *testing.T) {
			p := ran(t, c.code, c.w.url, append([]string{"kubernetes"}, c.args...)...)
			require.Equal(t, "windlass: "+line+"\n", p.stderr.String())
		})
	}
	require.Equal(t, "prod-eu\nprod-us\n:4\n", completed(t, "--nats", several.url, "kubernetes", "list", "--provider", ""))
}

func TestAnObjectThatNATSDoesNotTakeIsNotSent(t *testing.T) {
	t.Parallel()
	w, s := startShelf(t)
	// Each document may have 1 MiB by itself; with what is said beside it, this one has more.
	path := file(t, "large.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: large}\ndata: {text: "+strings.Repeat("x", 1<<20)+"}\n")
	p := ran(t, ExitRejected, w.url, "kubernetes", "apply", "-f", path)
	require.Contains(t, p.stderr.String(), path+":1: ConfigMap large: the question has 1048")
	require.Contains(t, p.stderr.String(), "which is more than NATS at "+w.url+" takes")
	require.Empty(t, s.requests)
}
