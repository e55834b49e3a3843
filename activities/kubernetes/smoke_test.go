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
	"slices"
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
		shared.Options.Dir, shared.Options.Nodes = filepath.Join(dir, "cluster"), -1
		shared.Options.Machine = &kubernetes.Machine{Archives: []string{filepath.Join(dir, smokeImages)}, Pause: images.PauseReference}
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
	// The node learns of a Service a moment after the server.
	require.Eventually(t, func() bool { return answers(service, "1.0.0") == nil }, time.Minute, 100*time.Millisecond, "the service does not answer")
	var made, read map[string]any
	ask(t, http.MethodPost, service+"/users", `{"name": "Ada", "email": "ada@example.org"}`, &made)
	ask(t, http.MethodGet, fmt.Sprintf("%s/users/%v", service, made["id"]), "", &read)
	require.Equal(t, made, read)

	stop := visit(service, "1.0.0", "1.1.0")
	w.mustDeploy(document("1.1.0"))
	w.requireNothingToDo(document("1.1.0"))
	require.Eventually(t, func() bool { return answers(service, "1.1.0") == nil }, time.Minute, 100*time.Millisecond, "the former version still answers")
	visits, err := stop()
	require.NoError(t, err, "one of %d requests was lost", visits)
	require.Greater(t, visits, 10)
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

// answers fails unless the service answers ten times, and each time in one of the versions.
func answers(service string, versions ...string) error {
	for range 10 {
		var health struct{ Version string }
		if err := request(context.Background(), http.MethodGet, service+"/healthz", "", &health); err != nil {
			return err
		}
		if !slices.Contains(versions, health.Version) {
			return fmt.Errorf("version %s answers", health.Version)
		}
	}
	return nil
}

// visit makes one request after the other until it is stopped, and tells how many there
// were and the first failure.
func visit(service string, versions ...string) (stop func() (visits int, err error)) {
	stopping, ended := make(chan struct{}), make(chan struct{})
	var visits int
	var failure error
	go func() {
		defer close(ended)
		for ; failure == nil; visits += 10 {
			failure = answers(service, versions...)
			select {
			case <-stopping:
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	}()
	return func() (int, error) {
		close(stopping)
		<-ended
		return visits, failure
	}
}

// ask makes one request that has to succeed.
func ask(t *testing.T, method, url, body string, into any) {
	t.Helper()
	require.NoError(t, request(t.Context(), method, url, body, into))
}

// request makes one request on a connection of its own.
func request(ctx context.Context, method, url, body string, into any) error {
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Close = true
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("%s %s: %s: %s", method, url, response.Status, content)
	}
	return json.Unmarshal(content, into)
}
