// Package clustertest gives the tests of a package one Kubernetes cluster.
package clustertest

import (
	"context"
	"crypto/rand"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"windlass/dev/kubernetes"
)

// Shared is the cluster that the tests of one package share. It starts with the first test that asks for it, so that a run of
// tests that need none does not pay for it:
//
//	var shared clustertest.Shared
//
//	func TestMain(m *testing.M) { os.Exit(shared.Run(m)) }
//
//	func TestSomething(t *testing.T) { cluster := shared.Cluster(t) }
type Shared struct {
	// Options are those of the cluster.
	Options kubernetes.Options

	once    sync.Once
	cluster *kubernetes.Cluster
	failure error
}

// Run runs the tests of a package, stops the cluster if there is one, and returns the exit code.
func (s *Shared) Run(m *testing.M) (code int) {
	defer func() {
		if s.cluster != nil {
			s.cluster.Stop()
		}
	}()
	return m.Run()
}

// Cluster returns the cluster and starts it first where it must. The test fails when that does not work.
func (s *Shared) Cluster(t testing.TB) *kubernetes.Cluster {
	t.Helper()
	// The context of the first test would end before the cluster does its work for the others.
	s.once.Do(func() { s.cluster, s.failure = kubernetes.Start(context.Background(), s.Options) })
	if s.failure != nil {
		t.Fatal(s.failure)
	}
	return s.cluster
}

// Namespace makes a namespace for one test, in which pods can be made, and returns its name. It is deleted after the test; nobody
// waits for that, since it takes the server ten seconds.
func (s *Shared) Namespace(t testing.TB) string {
	t.Helper()
	cluster := s.Cluster(t)
	name := "test-" + strings.ToLower(rand.Text()[:8])
	object := map[string]any{"metadata": map[string]any{"name": name}}
	if err := cluster.Request(t.Context(), http.MethodPost, "/api/v1/namespaces", object, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// The test's own context has ended.
		if err := cluster.Request(context.Background(), http.MethodDelete, "/api/v1/namespaces/"+name, nil, nil); err != nil {
			t.Errorf("delete the test's namespace: %v", err)
		}
	})
	awaitAccount(t, cluster, name)
	return name
}

// awaitAccount waits for the service account without which the server refuses pods.
func awaitAccount(t testing.TB, cluster *kubernetes.Cluster, namespace string) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		err := cluster.Request(t.Context(), http.MethodGet, "/api/v1/namespaces/"+namespace+"/serviceaccounts/default", nil, nil)
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("namespace %s has no service account after a minute: %v", namespace, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// Gate opens a gate in front of the cluster for one test. It is closed after the test.
func (s *Shared) Gate(t testing.TB) *kubernetes.Gate {
	t.Helper()
	gate, err := s.Cluster(t).OpenGate()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(gate.Close)
	return gate
}
