package manifest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"

	"windlass/dev/kubernetes"
	"windlass/dev/kubernetes/clustertest"
	"windlass/plan"
)

var shared = clustertest.Shared{Options: kubernetes.Options{GatewayAPI: true}}

func TestMain(m *testing.M) { os.Exit(shared.Run(m)) }

// server applies objects to a real API server.
type server struct {
	*testing.T
	cluster *kubernetes.Cluster
	objects dynamic.Interface
	mapper  *restmapper.DeferredDiscoveryRESTMapper
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{T: t, cluster: shared.Cluster(t)}
	config, err := clientcmd.BuildConfigFromFlags("", s.cluster.Kubeconfig())
	require.NoError(t, err)
	config.QPS, config.Burst = 500, 1000
	s.objects, err = dynamic.NewForConfig(config)
	require.NoError(t, err)
	client, err := discovery.NewDiscoveryClientForConfig(config)
	require.NoError(t, err)
	s.mapper = restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(client))
	return s
}

// of are the objects of a kind in a namespace.
func (s *server) of(o *unstructured.Unstructured) dynamic.ResourceInterface {
	s.Helper()
	kind := o.GroupVersionKind()
	mapping, err := s.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	require.NoError(s, err)
	return s.objects.Resource(mapping.Resource).Namespace(o.GetNamespace())
}

// apply has the server make an object, of which it must know every field.
func (s *server) apply(o *unstructured.Unstructured) *unstructured.Unstructured {
	s.Helper()
	text, err := o.MarshalJSON()
	require.NoError(s, err)
	made, err := s.of(o).Patch(s.Context(), o.GetName(), types.ApplyPatchType, text, metav1.PatchOptions{FieldManager: "windlass", FieldValidation: metav1.FieldValidationStrict})
	require.NoError(s, err, "%s %s/%s", o.GetKind(), o.GetNamespace(), o.GetName())
	return made
}

// namespace makes one that is none of a Network.
func (s *server) namespace(name string, labels map[string]string) {
	s.Helper()
	if name == "" {
		return
	}
	o := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace"}}
	o.SetName(name)
	o.SetLabels(labels)
	_, err := s.of(o).Apply(s.Context(), name, o, metav1.ApplyOptions{FieldManager: "test"})
	require.NoError(s, err)
}

// remove deletes what an example has made, without waiting.
func (s *server) remove(namespaces map[string]bool) {
	for name := range namespaces {
		_ = s.cluster.Request(context.Background(), http.MethodDelete, "/api/v1/namespaces/"+name, nil, nil)
	}
}

// applied makes the objects of an example and returns them with what the server stores.
func (s *server) applied(name string) (said, stored []*unstructured.Unstructured) {
	s.Helper()
	namespaces := map[string]bool{}
	s.Cleanup(func() { s.remove(namespaces) })
	for _, d := range example(s.T, name) {
		objects, err := Objects(d, examples[name], vault(s.T).Open(d.Scope))
		require.NoError(s, err)
		for _, o := range objects {
			namespace := o.GetNamespace()
			if o.GetKind() == "Namespace" {
				namespace = o.GetName()
			} else if !namespaces[namespace] {
				s.namespace(namespace, nil)
			}
			namespaces[namespace] = true
			said, stored = append(said, o), append(stored, s.apply(o))
		}
	}
	return said, stored
}

// missing are the paths at which what was said is not what is stored.
func missing(path string, said, stored any) []string {
	switch said := said.(type) {
	case map[string]any:
		there, _ := stored.(map[string]any)
		var all []string
		for _, key := range sortedKeys(said) {
			all = append(all, missing(path+"."+key, said[key], there[key])...)
		}
		return all
	case []any:
		there, _ := stored.([]any)
		if len(there) != len(said) {
			return []string{path}
		}
		var all []string
		for i := range said {
			all = append(all, missing(fmt.Sprintf("%s[%d]", path, i), said[i], there[i])...)
		}
		return all
	}
	x, _ := json.Marshal(said)
	y, _ := json.Marshal(stored)
	if string(x) == string(y) {
		return nil
	}
	return []string{fmt.Sprintf("%s: %s is stored as %s", path, x, y)}
}

// settled says whether a controller has made everything of an object that it is to make.
func settled(o *unstructured.Unstructured) bool {
	number := func(path ...string) int64 {
		n, _, _ := unstructured.NestedInt64(o.Object, path...)
		return n
	}
	switch o.GetKind() {
	case "Deployment":
		return number("status", "availableReplicas") > 0
	case "StatefulSet":
		return number("status", "availableReplicas") == number("spec", "replicas")
	case "Job":
		return number("status", "succeeded") == number("spec", "completions")
	}
	return true
}

func TestAServerStoresEveryObjectAsItIsSaid(t *testing.T) {
	for name := range examples {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			said, stored := s.applied(name)
			for i := range said {
				require.Empty(t, missing(said[i].GetKind()+" "+said[i].GetName(), said[i].Object, stored[i].Object))
			}
			// Long names, and those that begin with a digit, are the ones that controllers
			// stumble over, when they make labels and names of their own of them.
			for _, o := range said {
				require.Eventually(t, func() bool {
					found, err := s.of(o).Get(t.Context(), o.GetName(), metav1.GetOptions{})
					return err == nil && settled(found)
				}, time.Minute, 100*time.Millisecond, "%s %s gets no pods that run", o.GetKind(), o.GetName())
			}
		})
	}
}

// https://kubernetes.io/docs/concepts/security/pod-security-standards/
func TestPodsAreRestrictedButForWhatIsDeclared(t *testing.T) {
	s := newServer(t)
	const namespace = "restricted"
	s.namespace(namespace, map[string]string{"pod-security.kubernetes.io/enforce": "restricted"})
	t.Cleanup(func() { s.remove(map[string]bool{namespace: true}) })
	require.Eventually(t, func() bool {
		return s.cluster.Request(t.Context(), http.MethodGet, "/api/v1/namespaces/"+namespace+"/serviceaccounts/default", nil, nil) == nil
	}, time.Minute, 10*time.Millisecond)
	tried, refused := 0, map[string]string{}
	for name, options := range examples {
		for _, d := range example(t, name) {
			objects, err := Objects(d, options, nil)
			require.NoError(t, err)
			for _, o := range objects {
				template, there, err := unstructured.NestedMap(o.Object, "spec", "template")
				require.NoError(t, err)
				if !there {
					continue
				}
				tried++
				if err := s.admitted(namespace, template); err != nil {
					refused[name+"/"+d.Resource] = err.Error()
				}
			}
		}
	}
	require.Greater(t, tried, 20)
	// It declares user 0 and a port of its host.
	require.Len(t, refused, 1)
	require.Contains(t, refused["compute/legacy"], "hostPort")
	require.Contains(t, refused["compute/legacy"], "runAsNonRoot != true")
}

// admitted has the server say whether a pod of a template could be in a namespace.
func (s *server) admitted(namespace string, template map[string]any) error {
	pod := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Pod", "metadata": template["metadata"], "spec": template["spec"]}}
	pod.SetNamespace(namespace)
	pod.SetName("pod")
	_, err := s.of(pod).Create(s.Context(), pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict})
	return err
}

// Everything random is tried by a dry run, in one namespace that is there.
func TestAServerAcceptsWhateverIsDeclared(t *testing.T) {
	s := newServer(t)
	const namespace = "whatever"
	s.namespace(namespace, nil)
	t.Cleanup(func() { s.remove(map[string]bool{namespace: true}) })
	everyDocument(t, func(d plan.Desired, o Options) {
		objects, err := Objects(d, o, vault(t).Open(d.Scope))
		require.NoError(t, err)
		for _, object := range objects {
			text := s.sized(object, namespace)
			_, err := s.of(object).Patch(t.Context(), object.GetName(), types.ApplyPatchType, text, metav1.PatchOptions{
				FieldManager: "windlass", FieldValidation: metav1.FieldValidationStrict, DryRun: []string{metav1.DryRunAll},
			})
			require.NoError(t, err, "%s %s", object.GetKind(), object.GetName())
		}
	})
}

// sized moves an object to a namespace and returns its text.
func (s *server) sized(o *unstructured.Unstructured, namespace string) []byte {
	s.Helper()
	if o.GetNamespace() != "" {
		o.SetNamespace(namespace)
	}
	text, err := o.MarshalJSON()
	require.NoError(s, err)
	return text
}
