package cluster

import (
	"bytes"
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"windlass/activities"
	"windlass/dev/kubernetes"
)

func TestAServerThatStartsDoesNotKnowAllItsKinds(t *testing.T) {
	t.Parallel()
	c, gate := behindGate(t)
	parcel := schema.GroupVersionKind{Group: "post.example.test", Version: "v1", Kind: "Parcel"}
	served := func() (bool, error) { return c.Serves(t.Context(), parcel) }
	for _, code := range []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound} {
		gate.Make(kubernetes.Trouble{Path: "/readyz", Times: -1, Code: code})
		is, err := served()
		require.NoError(t, err, "a server need not say whether it is ready")
		require.False(t, is)
		gate.Clear()
		c.Rediscover()
	}

	gate.Make(kubernetes.Trouble{Path: "/readyz", Times: -1, Code: http.StatusInternalServerError})
	_, err := served()
	requireFault(t, err, activities.Unavailable, "see whether the API server", "the API server is not ready")
	_, err = c.KindOf(t.Context(), "parcels")
	requireFault(t, err, activities.Unavailable, "", "the API server is not ready")
	is, err := c.Serves(t.Context(), configMap)
	require.NoError(t, err)
	require.True(t, is, "what it does know")
	gate.Clear()
	is, err = served()
	require.NoError(t, err)
	require.False(t, is)
}

func TestAGroupThatDoesNotAnswerMayHaveWhatIsMissing(t *testing.T) {
	t.Parallel()
	c := administrator(t)
	service := parsed(t, "", `{apiVersion: apiregistration.k8s.io/v1, kind: APIService, metadata: {name: v1.silent.example.test}, spec: {
		group: silent.example.test, version: v1, groupPriorityMinimum: 100, versionPriority: 10, insecureSkipTLSVerify: true, service: {namespace: default, name: nobody}}}`)
	_, err := c.Apply(t.Context(), service, ApplyOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Delete(context.WithoutCancel(t.Context()), ReferenceOf(service), DeleteOptions{}) })
	eventually(t, func() error { // the server sees it after a while
		c.Rediscover()
		_, err := c.Serves(t.Context(), schema.GroupVersionKind{Group: "silent.example.test", Version: "v1", Kind: "Whisper"})
		if activities.IsKind(err, activities.Unavailable) {
			return nil
		}
		return context.DeadlineExceeded
	})
	_, err = c.KindOf(t.Context(), "whispers.silent.example.test")
	requireFault(t, err, activities.Unavailable, "which APIService of the group", "what serves the API group silent.example.test does not answer")
	_, err = c.KindOf(t.Context(), "whispers")
	requireFault(t, err, activities.Invalid, "", "silent.example.test")
	served, err := c.Serves(t.Context(), schema.GroupVersionKind{Group: "post.example.test", Version: "v1", Kind: "Parcel"})
	require.NoError(t, err)
	require.False(t, served, "other groups are sure")
}

func TestWhoCannotWaitForTheKindsLeavesOthersTheAnswer(t *testing.T) {
	t.Parallel()
	c, gate := behindGate(t)
	asked, answer := make(chan struct{}), make(chan struct{})
	gate.Make(kubernetes.Trouble{Path: "/readyz", Do: func() { close(asked); <-answer }})
	long := make(chan error, 1)
	impatient, leave := context.WithCancel(t.Context())
	short := make(chan error, 1)
	go func() { _, err := c.Serves(impatient, configMap); short <- err }()
	<-asked
	go func() { _, err := c.Serves(forever(t), configMap); long <- err }()
	leave()
	require.ErrorIs(t, <-short, context.Canceled)
	close(answer)
	require.NoError(t, <-long)
}

func TestAShortNameIsThatOfTheGroupThatTheServerPrefers(t *testing.T) {
	t.Parallel()
	c := administrator(t)
	for range 30 { // core and events.k8s.io both call theirs ev
		c.Rediscover()
		kind, err := c.KindOf(t.Context(), "ev")
		require.NoError(t, err)
		require.Equal(t, schema.GroupVersionKind{Version: "v1", Kind: "Event"}, kind)
	}
}

func TestTheTurnOfARequestIsNotPartOfItsTime(t *testing.T) {
	t.Parallel()
	c, err := New(Config{Name: "test", Kubeconfig: shared.Cluster(t).Kubeconfig(), QPS: 1, Burst: 1})
	require.NoError(t, err)
	before := time.Now()
	for range 2 {
		bounded, cancel, err := c.begin(t.Context(), "test")
		require.NoError(t, err)
		defer cancel()
		deadline, _ := bounded.Deadline()
		require.Greater(t, deadline.Sub(before), requestTimeout)
		before = before.Add(900 * time.Millisecond)
	}

	c, err = New(Config{Name: "test", Kubeconfig: shared.Cluster(t).Kubeconfig(), QPS: 0.001, Burst: 1})
	require.NoError(t, err)
	_, err = c.Version(forever(t))
	require.NoError(t, err)
	_, err = c.Version(forever(t))
	requireFault(t, err, activities.Throttled, "raise the provider's limits", "ask the server for its version", `provider "test" may not make so many requests`)
	require.True(t, retryable(err))
}

func TestTheEndOfLogsIsKept(t *testing.T) {
	t.Parallel()
	var kept tail
	for range 5 {
		_, err := kept.Write(bytes.Repeat([]byte("a"), mostLogs/2-1))
		require.NoError(t, err)
	}
	_, err := kept.Write([]byte("end"))
	require.NoError(t, err)
	require.Len(t, kept, mostLogs)
	require.Equal(t, "aend", string(kept[mostLogs-4:]))
}
