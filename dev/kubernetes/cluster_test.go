package kubernetes_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"windlass/dev/kubernetes"
	"windlass/dev/kubernetes/clustertest"
)

// startOnly is the environment variable by which the tests have their own program start a cluster and nothing else.
const startOnly = "WINDLASS_TEST_START_CLUSTER"

var shared = clustertest.Shared{Options: kubernetes.Options{
	Users:  []kubernetes.User{{Name: "boss", Groups: []string{"system:masters"}}},
	CRDs:   []string{widgetDefinition},
	Stages: []string{widgetStage},

	GatewayAPI: true,
}}

const (
	widgetDefinition = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.test}
spec:
  group: example.test
  scope: Namespaced
  names: {kind: Widget, plural: widgets}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
`
	widgetStage = `
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata: {name: widget-turn}
spec:
  resourceRef: {apiGroup: example.test/v1, kind: Widget}
  selector:
    matchExpressions:
    - jq: {key: .status.phase, operator: DoesNotExist}
  steps:
  - patch: {subresource: status, root: status, template: "phase: Turning"}
`
)

func TestMain(m *testing.M) {
	if os.Getenv(startOnly) != "" {
		startAndWait()
		return
	}
	os.Exit(shared.Run(m))
}

// startAndWait starts a cluster, says so, and waits for its own end.
func startAndWait() {
	cluster, err := kubernetes.Start(context.Background(), kubernetes.Options{Nodes: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("started", filepath.Dir(cluster.Kubeconfig()))
	select {}
}

type (
	deployment struct {
		Status struct {
			ReadyReplicas, UpdatedReplicas, Replicas int
			ObservedGeneration                       int
			Conditions                               []condition
		}
	}
	condition struct{ Type, Status, Reason, Message string }
	pod       struct {
		Metadata struct {
			Name              string
			DeletionTimestamp string
		}
		Status struct {
			Phase             string
			PodIP             string
			Conditions        []condition
			ContainerStatuses []containerStatus
		}
	}
	containerStatus struct {
		Ready        bool
		RestartCount int
		State        state
		LastState    state
	}
	state struct {
		Waiting    *struct{ Reason, Message string }
		Running    *struct{ StartedAt time.Time }
		Terminated *struct {
			ExitCode        int
			Reason, Message string
		}
	}
)

func (p pod) ready() bool {
	return slices.ContainsFunc(p.Status.Conditions, func(c condition) bool { return c.Type == "Ready" && c.Status == "True" })
}

// container is the status of the only one; a pod that nobody has looked at has none.
func (p pod) container() containerStatus {
	if len(p.Status.ContainerStatuses) == 0 {
		return containerStatus{}
	}
	return p.Status.ContainerStatuses[0]
}

func request(t *testing.T, method, path string, body, into any) {
	t.Helper()
	require.NoError(t, shared.Cluster(t).Request(t.Context(), method, path, body, into))
}

// eventually polls until the check holds; it fails with what was last seen.
func eventually[T any](t *testing.T, path string, check func(T) bool) T {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		var seen T
		request(t, http.MethodGet, path, nil, &seen)
		if check(seen) {
			return seen
		}
		if time.Now().After(deadline) {
			content, _ := json.Marshal(seen)
			require.FailNow(t, "waited in vain for "+path, "last seen: %s", content)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// template is a pod template with one container; more is added to its spec.
func template(image string, labels, annotations map[string]string, more map[string]any) map[string]any {
	all := map[string]string{"app": "test"}
	for name, value := range labels {
		all[name] = value
	}
	container := map[string]any{"name": "main", "image": image, "terminationMessagePolicy": "FallbackToLogsOnError"}
	spec := map[string]any{"containers": []any{container}, "terminationGracePeriodSeconds": 30}
	for name, value := range more {
		spec[name] = value
	}
	return map[string]any{"metadata": map[string]any{"labels": all, "annotations": annotations}, "spec": spec}
}

func deploy(t *testing.T, namespace string, replicas int, template map[string]any) {
	t.Helper()
	request(t, http.MethodPost, "/apis/apps/v1/namespaces/"+namespace+"/deployments", map[string]any{
		"metadata": map[string]any{"name": "test"},
		"spec": map[string]any{
			"replicas":                replicas,
			"progressDeadlineSeconds": 5,
			"selector":                map[string]any{"matchLabels": map[string]string{"app": "test"}},
			"template":                template,
		},
	}, nil)
}

func deploymentPath(namespace string) string {
	return "/apis/apps/v1/namespaces/" + namespace + "/deployments/test"
}

// onlyPod waits until the namespace has one pod and it is as the check says.
func onlyPod(t *testing.T, namespace string, check func(pod) bool) pod {
	t.Helper()
	type list struct{ Items []pod }
	found := eventually(t, "/api/v1/namespaces/"+namespace+"/pods", func(l list) bool { return len(l.Items) == 1 && check(l.Items[0]) })
	return found.Items[0]
}

func TestADeploymentIsRolledOutByTheRealControllers(t *testing.T) {
	t.Parallel()
	namespace := shared.Namespace(t)
	deploy(t, namespace, 10, template("well:1", nil, nil, nil))
	eventually(t, deploymentPath(namespace), func(d deployment) bool { return d.Status.ReadyReplicas == 10 })

	request(t, http.MethodPatch, deploymentPath(namespace), map[string]any{
		"spec": map[string]any{"template": template("well:2", nil, nil, nil)},
	}, nil)
	eventually(t, deploymentPath(namespace), func(d deployment) bool {
		return d.Status.ObservedGeneration == 2 && d.Status.UpdatedReplicas == 10 && d.Status.ReadyReplicas == 10 && d.Status.Replicas == 10
	})
}

func TestFates(t *testing.T) {
	isRunning := func(p pod) bool { return p.container().State.Running != nil }
	waitsFor := func(reason string) func(pod) bool {
		return func(p pod) bool {
			waiting := p.container().State.Waiting
			return waiting != nil && waiting.Reason == reason
		}
	}
	cases := map[string]struct {
		fate string
		// stages are seen one after the other; others may lie between them.
		stages []func(pod) bool
		check  func(t *testing.T, p pod)
	}{
		"a pod with another label is well": {"unheard-of", []func(pod) bool{pod.ready}, func(t *testing.T, p pod) {
			require.Equal(t, "Running", p.Status.Phase)
			require.NotEmpty(t, p.Status.PodIP)
			require.True(t, p.container().Ready)
		}},
		"a slow pod runs before it is ready": {"slow", []func(pod) bool{
			func(p pod) bool { return isRunning(p) && !p.ready() && !p.container().Ready },
			func(p pod) bool { return p.ready() && p.container().Ready },
		}, nil},
		"a pod that is never ready runs": {"never-ready", []func(pod) bool{isRunning}, func(t *testing.T, p pod) {
			require.False(t, p.ready())
			require.False(t, p.container().Ready)
		}},
		"a pod that becomes unready was ready before": {"unready", []func(pod) bool{
			func(p pod) bool { return p.ready() && p.container().Ready },
			func(p pod) bool { return isRunning(p) && !p.ready() && !p.container().Ready },
		}, nil},
		"a pod that crashes is restarted after a growing number of times": {"crash", []func(pod) bool{
			func(p pod) bool { return p.container().State.Terminated != nil },
			waitsFor("CrashLoopBackOff"),
			func(p pod) bool { return p.container().RestartCount >= 2 },
		}, func(t *testing.T, p pod) {
			end := p.container().LastState.Terminated
			require.NotNil(t, end)
			require.Equal(t, 1, end.ExitCode)
			require.Equal(t, "Error", end.Reason)
			require.Contains(t, end.Message, "fatal")
			require.False(t, p.ready())
		}},
		"a pod out of memory was killed": {"out-of-memory", []func(pod) bool{waitsFor("CrashLoopBackOff")}, func(t *testing.T, p pod) {
			require.Equal(t, 137, p.container().LastState.Terminated.ExitCode)
			require.Equal(t, "OOMKilled", p.container().LastState.Terminated.Reason)
		}},
		"a pod without its image waits": {"no-image", []func(pod) bool{waitsFor("ErrImagePull"), waitsFor("ImagePullBackOff")}, func(t *testing.T, p pod) {
			require.Equal(t, "Pending", p.Status.Phase)
			require.Contains(t, p.container().State.Waiting.Message, "not found")
		}},
		"a pod without its configuration waits": {"no-config", []func(pod) bool{waitsFor("CreateContainerConfigError")}, nil},
	}
	for name, c := range cases {
		for by, deployed := range map[string]map[string]any{
			"by label": template("any:1", map[string]string{kubernetes.FateLabel: c.fate}, nil, nil),
			"by image": template("fate.test/"+c.fate+":1", nil, nil, nil),
		} {
			t.Run(name+" "+by, func(t *testing.T) {
				t.Parallel()
				namespace := shared.Namespace(t)
				deploy(t, namespace, 1, deployed)
				var last pod
				for _, stage := range c.stages {
					last = onlyPod(t, namespace, stage)
				}
				if c.check != nil {
					c.check(t, last)
				}
			})
		}
	}
}

func TestAFateComesAboutWhenItIsTold(t *testing.T) {
	cases := map[string]map[string]any{
		"by image":      template("fate.test/slow/4s:1", nil, nil, nil),
		"by annotation": template("any:1", map[string]string{kubernetes.FateLabel: "slow"}, map[string]string{kubernetes.AfterAnnotation: "4000ms"}, nil),
	}
	for name, deployed := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			namespace := shared.Namespace(t)
			deploy(t, namespace, 1, deployed)
			onlyPod(t, namespace, func(p pod) bool { return p.container().State.Running != nil && !p.ready() })
			started := time.Now()
			onlyPod(t, namespace, pod.ready)
			// By default it would be ready after two seconds; a busy machine may see its start late.
			require.Greater(t, time.Since(started), 2500*time.Millisecond)
		})
	}
}

func TestALingeringPodGoesLate(t *testing.T) {
	t.Parallel()
	namespace := shared.Namespace(t)
	deploy(t, namespace, 1, template("fate.test/lingering/3s:1", nil, nil, nil))
	onlyPod(t, namespace, pod.ready)
	request(t, http.MethodDelete, deploymentPath(namespace), nil, nil)
	going := onlyPod(t, namespace, func(p pod) bool { return p.Metadata.DeletionTimestamp != "" })
	require.True(t, going.ready())
	type list struct{ Items []pod }
	eventually(t, "/api/v1/namespaces/"+namespace+"/pods", func(l list) bool { return len(l.Items) == 0 })
}

func TestARolloutThatStallsIsFoundByItsDeadline(t *testing.T) {
	t.Parallel()
	namespace := shared.Namespace(t)
	deploy(t, namespace, 2, template("fate.test/never-ready:1", nil, nil, nil))
	eventually(t, deploymentPath(namespace), func(d deployment) bool {
		return slices.ContainsFunc(d.Status.Conditions, func(c condition) bool {
			return c.Type == "Progressing" && c.Status == "False" && c.Reason == "ProgressDeadlineExceeded"
		})
	})
}

func TestAPodThatAsksForTooMuchIsNotScheduled(t *testing.T) {
	t.Parallel()
	namespace := shared.Namespace(t)
	deploy(t, namespace, 1, template("any:1", nil, nil, map[string]any{"nodeSelector": map[string]string{"kubernetes.io/os": "plan9"}}))
	onlyPod(t, namespace, func(p pod) bool {
		return slices.ContainsFunc(p.Status.Conditions, func(c condition) bool { return c.Type == "PodScheduled" && c.Reason == "Unschedulable" })
	})
}

func TestJobs(t *testing.T) {
	cases := map[string]struct {
		image, policy, condition string
	}{
		"a job completes":                          {"any:1", "Never", "Complete"},
		"a job that may restart completes":         {"any:1", "OnFailure", "Complete"},
		"a slow job completes":                     {"fate.test/slow/500ms:1", "Never", "Complete"},
		"a job that crashes fails":                 {"fate.test/crash:1", "Never", "Failed"},
		"a job that may restart crashes and fails": {"fate.test/crash:1", "OnFailure", "Failed"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			namespace := shared.Namespace(t)
			request(t, http.MethodPost, "/apis/batch/v1/namespaces/"+namespace+"/jobs", map[string]any{
				"metadata": map[string]any{"name": "test"},
				"spec":     map[string]any{"backoffLimit": 0, "template": template(c.image, nil, nil, map[string]any{"restartPolicy": c.policy})},
			}, nil)
			type job struct {
				Status struct{ Conditions []condition }
			}
			eventually(t, "/apis/batch/v1/namespaces/"+namespace+"/jobs/test", func(j job) bool {
				return slices.ContainsFunc(j.Status.Conditions, func(found condition) bool {
					return found.Type == c.condition && found.Status == "True"
				})
			})
		})
	}
}

func TestAContainerHasLogs(t *testing.T) {
	t.Parallel()
	namespace := shared.Namespace(t)
	logs := func(name, query string) string {
		var text []byte
		request(t, http.MethodGet, "/api/v1/namespaces/"+namespace+"/pods/"+name+"/log"+query, nil, &text)
		return string(text)
	}
	deploy(t, namespace, 1, template("fate.test/crash:1", nil, nil, nil))
	crashed := onlyPod(t, namespace, func(p pod) bool { return p.container().RestartCount > 0 }).Metadata.Name
	require.Equal(t, crashed+": starting\n"+crashed+": fatal: cannot go on\n", logs(crashed, "?previous=true"))
	require.Equal(t, crashed+": fatal: cannot go on\n", logs(crashed, "?previous=true&tailLines=1"))
	require.Equal(t, crashed[:3], logs(crashed, "?previous=true&limitBytes=3"))

	request(t, http.MethodPatch, deploymentPath(namespace), map[string]any{
		"spec": map[string]any{"strategy": map[string]any{"type": "Recreate", "rollingUpdate": nil}, "template": template("fate.test/no-image:1", nil, nil, nil)},
	}, nil)
	waiting := onlyPod(t, namespace, func(p pod) bool { return p.container().State.Waiting != nil && p.Metadata.Name != crashed }).Metadata.Name
	err := shared.Cluster(t).Request(t.Context(), http.MethodGet, "/api/v1/namespaces/"+namespace+"/pods/"+waiting+"/log", nil, nil)
	var refused *kubernetes.StatusError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, http.StatusBadRequest, refused.Code)
	require.Contains(t, refused.Message, "is waiting to start")
}

func TestLogsAreFollowedUntilTheContainerIsGone(t *testing.T) {
	t.Parallel()
	namespace := shared.Namespace(t)
	deploy(t, namespace, 1, template("fate.test/unready:1", nil, nil, nil))
	name := onlyPod(t, namespace, pod.ready).Metadata.Name
	followed := make(chan string, 1)
	go func() {
		var text []byte
		err := shared.Cluster(t).Request(t.Context(), http.MethodGet, "/api/v1/namespaces/"+namespace+"/pods/"+name+"/log?follow=true", nil, &text)
		followed <- fmt.Sprint(string(text), err)
	}()
	onlyPod(t, namespace, func(p pod) bool { return !p.ready() })
	require.Empty(t, followed, "the container still runs")
	request(t, http.MethodDelete, deploymentPath(namespace), nil, nil)
	require.Equal(t, name+": starting\n"+name+": serving\n<nil>", <-followed)
}

func TestAClaimGetsAVolumeThatGrowsAndGoesWithIt(t *testing.T) {
	t.Parallel()
	namespace := shared.Namespace(t)
	type claim struct {
		Spec   struct{ VolumeName string }
		Status struct {
			Phase    string
			Capacity map[string]string
		}
	}
	claims := "/api/v1/namespaces/" + namespace + "/persistentvolumeclaims"
	storage := func(size string) map[string]any {
		return map[string]any{"requests": map[string]string{"storage": size}}
	}
	request(t, http.MethodPost, claims, map[string]any{
		"metadata": map[string]any{"name": "test"},
		"spec":     map[string]any{"accessModes": []string{"ReadWriteOnce"}, "resources": storage("1Gi")},
	}, nil)
	bound := eventually(t, claims+"/test", func(c claim) bool { return c.Status.Phase == "Bound" })
	require.Equal(t, "1Gi", bound.Status.Capacity["storage"])

	request(t, http.MethodPatch, claims+"/test", map[string]any{"spec": map[string]any{"resources": storage("2Gi")}}, nil)
	eventually(t, claims+"/test", func(c claim) bool { return c.Status.Capacity["storage"] == "2Gi" })

	request(t, http.MethodDelete, claims+"/test", nil, nil)
	type list struct {
		Items []struct{ Metadata struct{ Name string } }
	}
	eventually(t, "/api/v1/persistentvolumes", func(l list) bool {
		return !slices.ContainsFunc(l.Items, func(v struct{ Metadata struct{ Name string } }) bool {
			return v.Metadata.Name == bound.Spec.VolumeName
		})
	})
}

func TestAnObjectOfACustomKindHasItsStages(t *testing.T) {
	t.Parallel()
	namespace := shared.Namespace(t)
	type widget struct{ Status struct{ Phase string } }
	widgets := "/apis/example.test/v1/namespaces/" + namespace + "/widgets"
	request(t, http.MethodPost, widgets, map[string]any{
		"apiVersion": "example.test/v1", "kind": "Widget",
		"metadata": map[string]any{"name": "test"},
	}, nil)
	eventually(t, widgets+"/test", func(w widget) bool { return w.Status.Phase == "Turning" })
}

func TestTheKindsOfTheGatewayAPIAreKnown(t *testing.T) {
	namespace := shared.Namespace(t)
	path := "/apis/gateway.networking.k8s.io/v1/namespaces/" + namespace + "/gateways"
	gateway := func(protocol string) map[string]any {
		return map[string]any{
			"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": map[string]any{"name": "edge"},
			"spec": map[string]any{"gatewayClassName": "any", "listeners": []any{map[string]any{"name": "web", "port": 80, "protocol": protocol}}},
		}
	}
	require.ErrorContains(t, shared.Cluster(t).Request(t.Context(), http.MethodPost, path, gateway("no protocol"), nil), "spec.listeners[0].protocol")
	require.NoError(t, shared.Cluster(t).Request(t.Context(), http.MethodPost, path, gateway("HTTP"), nil))
}

func TestALoadBalancerGetsAnAddress(t *testing.T) {
	t.Parallel()
	namespace := shared.Namespace(t)
	type service struct {
		Status struct {
			LoadBalancer struct{ Ingress []struct{ IP string } }
		}
	}
	request(t, http.MethodPost, "/api/v1/namespaces/"+namespace+"/services", map[string]any{
		"metadata": map[string]any{"name": "test"},
		"spec":     map[string]any{"type": "LoadBalancer", "ports": []any{map[string]any{"port": 80}}},
	}, nil)
	eventually(t, "/api/v1/namespaces/"+namespace+"/services/test", func(s service) bool {
		return len(s.Status.LoadBalancer.Ingress) == 1 && s.Status.LoadBalancer.Ingress[0].IP == kubernetes.ExternalIP
	})
}

// processes are the running ones whose working directory is the given one, or that name it.
func processes(t *testing.T, dir string) []int {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	require.NoError(t, err)
	var found []int
	for _, entry := range entries {
		id, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		// A process that has just ended has neither any more.
		home, _ := os.Readlink(filepath.Join("/proc", entry.Name(), "cwd"))
		arguments, _ := os.ReadFile(filepath.Join("/proc", entry.Name(), "cmdline"))
		if home == dir || strings.Contains(string(arguments), dir) {
			found = append(found, id)
		}
	}
	return found
}

func TestNothingIsLeftOfACluster(t *testing.T) {
	t.Run("after it was stopped", func(t *testing.T) {
		cluster, err := kubernetes.Start(t.Context(), kubernetes.Options{Nodes: 1})
		require.NoError(t, err)
		dir := filepath.Dir(cluster.Kubeconfig())
		require.Len(t, processes(t, dir), 6, "five programs and the one that cleans up")
		cluster.Stop()
		require.Empty(t, processes(t, dir))
		require.NoDirExists(t, dir)
		cluster.Stop()
	})

	t.Run("after its parent was killed", func(t *testing.T) {
		parent := exec.Command(os.Args[0])
		parent.Env = append(os.Environ(), startOnly+"=1")
		parent.Stderr = os.Stderr
		output, err := parent.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, parent.Start())
		line, err := bufio.NewReader(output).ReadString('\n')
		require.NoError(t, err)
		dir, started := strings.CutPrefix(strings.TrimSpace(line), "started ")
		require.True(t, started, line)
		require.NotEmpty(t, processes(t, dir))

		require.NoError(t, parent.Process.Signal(syscall.SIGKILL))
		_ = parent.Wait()
		deadline := time.Now().Add(30 * time.Second)
		gone := func() bool {
			_, err := os.Stat(dir)
			return os.IsNotExist(err) && len(processes(t, dir)) == 0
		}
		for !gone() {
			require.True(t, time.Now().Before(deadline), "still there: %s, processes %v", dir, processes(t, dir))
			time.Sleep(20 * time.Millisecond)
		}
	})

	t.Run("but its directory where that was named", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "cluster")
		cluster, err := kubernetes.Start(t.Context(), kubernetes.Options{Dir: dir, Nodes: -1})
		require.NoError(t, err)
		cluster.Stop()
		require.Empty(t, processes(t, dir))
		require.FileExists(t, filepath.Join(dir, "kube-apiserver.log"))
	})
}
