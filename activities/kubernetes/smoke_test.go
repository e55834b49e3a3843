package kubernetes

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"windlass/activities/kubernetes/manifest"
	"windlass/dev/engine/host"
	"windlass/dev/images"
	"windlass/dev/kubernetes"
	"windlass/schemas"
)

const (
	// smokeTimeout is more than a busy machine needs once the programs are built.
	smokeTimeout = 5 * time.Minute
	smokeImages  = "images.tar"
)

// TestTheUsersServiceRunsOnARealNode runs once more in an enclosure, where it has a node with a kubelet.
func TestTheUsersServiceRunsOnARealNode(t *testing.T) {
	if dir, inside := kubernetes.Enclosed(); inside {
		shared.Options = kubernetes.Options{
			Dir: filepath.Join(dir, "cluster"), Nodes: -1,
			Machine: &kubernetes.Machine{Archives: []string{filepath.Join(dir, smokeImages)}, Pause: images.PauseReference},
		}
		useTheUsersService(t, dir)
		return
	}
	obstacle, err := kubernetes.Obstacle(t.Context())
	require.NoError(t, err)
	if obstacle != nil {
		t.Logf("not run: %v", obstacle)
		return
	}
	enclosure, err := kubernetes.NewEnclosure(t.Context(), os.Stderr)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, enclosure.Close()) })
	require.NoError(t, images.Save(t.Context(), filepath.Join(enclosure.Dir(), smokeImages),
		images.Pause(), images.Postgres(), images.Users("1.0.0"), images.Users("1.1.0")))

	ctx, cancel := context.WithTimeout(t.Context(), smokeTimeout)
	defer cancel()
	var output bytes.Buffer
	err = enclosure.Run(ctx, &output, "-test.run=^"+t.Name()+"$", "-test.v")
	t.Logf("in the enclosure:\n%s", output.String())
	require.NoError(t, err)
	require.Contains(t, output.String(), "--- PASS: "+t.Name())
}

// tellWhatHappened logs what a failure may come from; it is gone with the enclosure.
func (w *world) tellWhatHappened(dir string) {
	if !w.Failed() {
		return
	}
	log, err := os.ReadFile(filepath.Join(dir, "cluster", "kubelet.log"))
	if err == nil {
		w.Logf("the last that the kubelet said:\n%s", host.LastLines(string(log), 30))
	}
	var events struct {
		Items []struct {
			InvolvedObject  struct{ Kind, Name string }
			Reason, Message string
		}
	}
	if err := shared.Cluster(w.T).Request(context.Background(), http.MethodGet, "/api/v1/events", nil, &events); err != nil {
		w.Logf("no events: %v", err)
	}
	for _, e := range events.Items {
		w.Logf("%s %s: %s: %s", e.InvolvedObject.Kind, e.InvolvedObject.Name, e.Reason, e.Message)
	}
}

// useTheUsersService deploys the example as it is, talks to it, moves it to its next version and removes it.
func useTheUsersService(t *testing.T, dir string) {
	w := newWorld(t)
	t.Cleanup(func() { w.tellWhatHappened(dir) })
	w.scope.Infrastructure = "users"
	var err error
	w.provider, err = New(Config{Name: "cluster", Kubeconfig: kubeconfigOf(t, asWorker), PostgresImage: "windlass.local/postgres:{version}"})
	require.NoError(t, err)
	example, err := os.ReadFile("../../examples/users.yaml")
	require.NoError(t, err)
	placed := strings.Replace(string(example), "\nspec:\n", "\nspec:\n  provider: "+w.provider.name+"\n", 1)
	document := func(version string) *schemas.Infrastructure {
		document, err := schemas.Parse([]byte(placed), map[string]any{"environment": w.scope.Environment, "version": version, "replicas": 2})
		require.NoError(t, err)
		return document
	}

	w.mustDeploy(document("1.0.0"))
	w.requireNothingToDo(document("1.0.0"))
	service := "http://" + w.clusterIP() + ":8080"
	var made, read map[string]any
	ask(t, http.MethodPost, service+"/users", `{"name": "Ada", "email": "ada@example.org"}`, &made)
	ask(t, http.MethodGet, fmt.Sprintf("%s/users/%v", service, made["id"]), "", &read)
	require.Equal(t, made, read)
	require.Equal(t, map[string]bool{"1.0.0": true}, versions(t, service))

	w.mustDeploy(document("1.1.0"))
	w.requireNothingToDo(document("1.1.0"))
	require.Equal(t, map[string]bool{"1.1.0": true}, versions(t, service))
	ask(t, http.MethodGet, fmt.Sprintf("%s/users/%v", service, made["id"]), "", &read)
	require.Equal(t, made, read)

	w.destroy(t.Context())
	w.requireNothingLeft()
	// The kubelet has stopped the containers before the server forgets a pod.
	require.Eventually(t, func() bool {
		return w.count(t, "/api/v1/pods") == 0 && w.count(t, "/api/v1/namespaces?labelSelector="+manifest.LabelPrefix+"environment") == 0
	}, time.Minute, 100*time.Millisecond, "pods or namespaces are left")
}

// count is how many objects a list has.
func (w *world) count(t *testing.T, path string) int {
	t.Helper()
	var list struct{ Items []any }
	require.NoError(t, shared.Cluster(t).Request(t.Context(), http.MethodGet, path, nil, &list))
	return len(list.Items)
}

// clusterIP is the address of the load balancer's Service.
func (w *world) clusterIP() string {
	w.Helper()
	var service struct{ Spec struct{ ClusterIP string } }
	path := "/api/v1/namespaces/" + w.namespace("backend") + "/services/edge"
	require.NoError(w, shared.Cluster(w.T).Request(w.Context(), http.MethodGet, path, nil, &service))
	return service.Spec.ClusterIP
}

// versions are those that answer, asked on a new connection each time.
func versions(t *testing.T, service string) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	for range 10 {
		var health struct{ Version string }
		ask(t, http.MethodGet, service+"/healthz", "", &health)
		found[health.Version] = true
	}
	return found
}

// ask makes one request on a connection of its own.
func ask(t *testing.T, method, url, body string, into any) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	request.Header.Set("Content-Type", "application/json")
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Less(t, response.StatusCode, http.StatusMultipleChoices, "%s %s: %s", method, url, content)
	require.NoError(t, json.Unmarshal(content, into))
}
