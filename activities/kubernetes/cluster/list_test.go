package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"windlass/dev/kubernetes"
)

func TestALongListComesInPages(t *testing.T) {
	t.Parallel()
	namespace := shared.Namespace(t)
	c, gate := behindGate(t)
	const many = 1200
	var group errgroup.Group
	group.SetLimit(16)
	makes := administrator(t)
	for i := range many {
		group.Go(func() error {
			o := mapNamed(t, namespace, fmt.Sprintf("many-%d", i))
			o.SetLabels(map[string]string{"test": "many"})
			_, err := makes.Create(t.Context(), o)
			return err
		})
	}
	require.NoError(t, group.Wait())
	list := func() map[string]int {
		visits := map[string]int{}
		version, err := c.List(t.Context(), ListOptions{Kind: configMap, Namespace: namespace, Labels: "test=many"}, func(o *unstructured.Unstructured) error {
			require.Equal(t, configMap, o.GroupVersionKind())
			visits[o.GetName()]++
			return nil
		})
		require.NoError(t, err)
		require.NotEmpty(t, version)
		return visits
	}

	visits := list()
	require.Len(t, visits, many)
	require.Len(t, reads(gate), 3)
	for name, times := range visits {
		require.Equal(t, 1, times, name)
	}

	t.Run("and begins again when the server has forgotten the first", func(t *testing.T) {
		expired := gate.Make(kubernetes.Trouble{Method: http.MethodGet, Path: "continue=", Code: http.StatusGone, Reason: "Expired"})
		visits := list()
		require.Equal(t, 1, expired())
		require.Len(t, visits, many)
		twice := 0
		for _, times := range visits {
			if times == 2 {
				twice++
			}
		}
		require.Equal(t, pageSize, twice, "the first page is visited twice")
	})

	t.Run("and ends where the visitor says so", func(t *testing.T) {
		enough, before := errors.New("enough"), len(reads(gate))
		_, err := c.List(t.Context(), ListOptions{Kind: configMap, Namespace: namespace}, func(*unstructured.Unstructured) error { return enough })
		require.ErrorIs(t, err, enough)
		require.Len(t, reads(gate), before+1)
	})

	t.Run("and page by page for who asks so", func(t *testing.T) {
		seen, next, pages := map[string]bool{}, "", 0
		for pages == 0 || next != "" {
			if pages == 1 {
				gate.Make(kubernetes.Trouble{Method: http.MethodGet, Path: "continue=", Code: http.StatusTooManyRequests, RetryAfter: 1})
			}
			var objects []unstructured.Unstructured
			var err error
			objects, next, err = c.Page(t.Context(), ListOptions{Kind: configMap, Namespace: namespace, Labels: "test=many"}, 700, next)
			require.NoError(t, err)
			pages++
			for _, o := range objects {
				seen[o.GetName()] = true
			}
		}
		require.Equal(t, 2, pages)
		require.Len(t, seen, many)
	})
}

// audience is what Follow tells of the ConfigMaps of a namespace.
type audience struct {
	mutex sync.Mutex
	// there are the objects that were told of and are not gone, gone how often each was
	// told to be.
	there map[string]string
	gone  map[string]int
	lists int
}

func (a *audience) handle(e Event) (bool, error) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	switch {
	case e.Object == nil:
		a.lists++
	case e.Deleted:
		delete(a.there, e.Object.GetName())
		a.gone[e.Object.GetName()]++
	default:
		text, _, _ := unstructured.NestedString(e.Object.Object, "data", "text")
		a.there[e.Object.GetName()] = text
	}
	return false, nil
}

// heard is an error unless the audience knows exactly what is there.
func (a *audience) heard(want map[string]string) error {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	if fmt.Sprint(a.there) != fmt.Sprint(want) { // maps print in the order of their keys
		return fmt.Errorf("heard of %v and not of %v", a.there, want)
	}
	return nil
}

func TestAFollowerHearsEverythingThatBecameOfABrokenConnection(t *testing.T) {
	tests := map[string]struct {
		// away is the time in which nothing can be heard, until which meanwhile is done.
		away func(t *testing.T, gate *kubernetes.Gate, meanwhile func())
		// lists is how often everything has to be told.
		lists int
	}{
		"by the network": {func(t *testing.T, gate *kubernetes.Gate, meanwhile func()) {
			gate.Cut()
			meanwhile()
			require.NoError(t, gate.Mend())
		}, 1},
		"by the network, for so long that the server has forgotten": {func(t *testing.T, gate *kubernetes.Gate, meanwhile func()) {
			gate.Make(kubernetes.Trouble{Path: "watch=true", Code: http.StatusGone, Reason: "Expired"})
			gate.Cut()
			meanwhile()
			require.NoError(t, gate.Mend())
		}, 2},
		"by a server that then is too busy for lists": {func(t *testing.T, gate *kubernetes.Gate, meanwhile func()) {
			gate.Make(kubernetes.Trouble{Path: "watch=true", Code: http.StatusGone, Reason: "Expired"})
			gate.Make(kubernetes.Trouble{Path: "limit=", Times: 2, Code: http.StatusInternalServerError})
			gate.Cut()
			meanwhile()
			require.NoError(t, gate.Mend())
		}, 2},
		"by a server that was started again": {func(t *testing.T, gate *kubernetes.Gate, meanwhile func()) {
			shared.Cluster(t).StopServer()
			gate.Cut() // so that what is done before it hears anything is done first
			require.NoError(t, shared.Cluster(t).StartServer(t.Context()))
			meanwhile()
			require.NoError(t, gate.Mend())
		}, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			namespace := shared.Namespace(t)
			c, gate := behindGate(t)
			past := administrator(t)
			put := func(name, text string) {
				o := mapNamed(t, namespace, name)
				o.SetLabels(map[string]string{"test": "follow"})
				o.Object["data"] = map[string]any{"text": text}
				_, err := past.Apply(t.Context(), o, ApplyOptions{})
				require.NoError(t, err)
			}
			put("stays", "1")
			put("changes", "1")
			put("goes", "1")
			put("comes-again", "1")

			a := &audience{there: map[string]string{}, gone: map[string]int{}}
			ctx, cancel := context.WithCancel(forever(t))
			ended := make(chan error, 1)
			go func() {
				ended <- c.Follow(ctx, ListOptions{Kind: configMap, Namespace: namespace, Labels: "test=follow"}, a.handle)
			}()
			eventually(t, func() error {
				return a.heard(map[string]string{"stays": "1", "changes": "1", "goes": "1", "comes-again": "1"})
			})
			put("stays", "2") // the watch is there
			eventually(t, func() error {
				return a.heard(map[string]string{"stays": "2", "changes": "1", "goes": "1", "comes-again": "1"})
			})

			test.away(t, gate, func() {
				put("changes", "2")
				require.NoError(t, past.Delete(t.Context(), mapReference(namespace, "goes"), DeleteOptions{}))
				require.NoError(t, past.Delete(t.Context(), mapReference(namespace, "comes-again"), DeleteOptions{}))
				put("comes-again", "2")
				put("is-new", "1")
				put("comes-and-goes", "1")
				require.NoError(t, past.Delete(t.Context(), mapReference(namespace, "comes-and-goes"), DeleteOptions{}))
			})
			eventually(t, func() error {
				return a.heard(map[string]string{"stays": "2", "changes": "2", "comes-again": "2", "is-new": "1"})
			})
			put("last", "1")
			eventually(t, func() error {
				return a.heard(map[string]string{"stays": "2", "changes": "2", "comes-again": "2", "is-new": "1", "last": "1"})
			})
			cancel()
			require.ErrorIs(t, <-ended, context.Canceled)
			require.Equal(t, 1, a.gone["goes"])
			require.Zero(t, a.gone["stays"]+a.gone["changes"]+a.gone["is-new"])
			if test.lists > 0 {
				require.Equal(t, test.lists, a.lists)
			}
		})
	}
}

func TestAFollowerGivesUpWhereARetryCannotHelp(t *testing.T) {
	t.Parallel()
	namespace := shared.Namespace(t)
	c, gate := behindGate(t)
	gate.Make(kubernetes.Trouble{Path: "watch=true", Code: http.StatusForbidden})
	err := c.Follow(forever(t), ListOptions{Kind: configMap, Namespace: namespace}, func(Event) (bool, error) { return false, nil })
	requireFault(t, err, "Forbidden", "kubernetes-role.yaml", "watch objects of kind ConfigMap")

	broken := errors.New("no")
	err = c.Follow(forever(t), ListOptions{Kind: configMap, Namespace: namespace}, func(Event) (bool, error) { return false, broken })
	require.ErrorIs(t, err, broken)
}

func TestTheEndOfAnObjectIsSeenAcrossABrokenConnection(t *testing.T) {
	t.Parallel()
	namespace := shared.Namespace(t)
	c, gate := behindGate(t)
	o := mapNamed(t, namespace, "held")
	o.SetFinalizers([]string{"test/hold"})
	o, err := c.Create(t.Context(), o)
	require.NoError(t, err)
	require.NoError(t, c.Delete(t.Context(), ReferenceOf(o), DeleteOptions{}))
	waits, gone := make(chan struct{}, 100), make(chan error, 1)
	go func() {
		gone <- c.AwaitGone(forever(t), ReferenceOf(o), func(o *unstructured.Unstructured) { waits <- struct{}{} })
	}()
	<-waits
	gate.Cut()
	request(t, http.MethodPatch, "/api/v1/namespaces/"+namespace+"/configmaps/held", map[string]any{"metadata": map[string]any{"finalizers": nil}})
	_, err = administrator(t).Get(t.Context(), ReferenceOf(o))
	requireFault(t, err, "NotFound", "", `read ConfigMap "held"`)
	require.NoError(t, gate.Mend())
	require.NoError(t, <-gone)
}
