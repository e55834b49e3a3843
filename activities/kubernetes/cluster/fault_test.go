package cluster

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"windlass/activities"
	"windlass/dev/kubernetes"
)

func TestAServerInTroubleIsAskedAgainOrSaysSo(t *testing.T) {
	const hint = "see whether the API server"
	tests := map[string]struct {
		trouble kubernetes.Trouble
		// want is empty where all ends well.
		want  activities.FaultKind
		hint  string
		words []string
	}{
		"it asks to be left alone for a second":         {kubernetes.Trouble{Times: 2, Code: http.StatusTooManyRequests, RetryAfter: 1}, "", "", nil},
		"it is about to go and says when it is back":    {kubernetes.Trouble{Code: http.StatusServiceUnavailable, RetryAfter: 1}, "", "", nil},
		"it asks to be left alone and not for how long": {kubernetes.Trouble{Code: http.StatusTooManyRequests}, activities.Throttled, "", []string{`apply ConfigMap "a" of namespace`}},
		"it asks for it without end": {kubernetes.Trouble{Times: -1, Code: http.StatusTooManyRequests, Reason: "TooManyRequests", RetryAfter: 1}, activities.Throttled, "",
			[]string{`apply ConfigMap "a" of namespace`}},
		"it fails":               {kubernetes.Trouble{Code: http.StatusInternalServerError}, activities.Unavailable, hint, []string{"the API server answered with 500", "the gate answers"}},
		"it fails in words":      {kubernetes.Trouble{Code: http.StatusInternalServerError, Reason: "InternalError"}, activities.Unavailable, hint, []string{"the API server answered with 500"}},
		"it is not there":        {kubernetes.Trouble{Code: http.StatusServiceUnavailable}, activities.Unavailable, hint, []string{"the API server answered with 503"}},
		"what is before it says": {kubernetes.Trouble{Code: http.StatusBadGateway}, activities.Unavailable, hint, []string{"the API server answered with 502"}},
		"it takes too long":      {kubernetes.Trouble{Code: http.StatusGatewayTimeout}, activities.Unavailable, hint, []string{"the API server did not answer in time"}},
		"its answer is lost":     {kubernetes.Trouble{Late: true, Code: http.StatusBadGateway}, activities.Unavailable, hint, []string{"the API server answered with 502"}},
		"the connection breaks":  {kubernetes.Trouble{Do: func() { panic(http.ErrAbortHandler) }}, activities.Unavailable, hint, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			namespace := shared.Namespace(t)
			c, gate := behindGate(t)
			_, err := c.Namespaced(t.Context(), configMap) // the kinds are asked for first
			require.NoError(t, err)
			test.trouble.Writes = true
			count := gate.Make(test.trouble)
			_, err = c.Apply(t.Context(), mapNamed(t, namespace, "a"), ApplyOptions{})
			if test.want == "" {
				require.NoError(t, err)
				require.Equal(t, max(1, test.trouble.Times), count())
				return
			}
			requireFault(t, err, test.want, test.hint, test.words...)
			require.True(t, retryable(err))
			gate.Clear()
			_, err = c.Apply(t.Context(), mapNamed(t, namespace, "a"), ApplyOptions{})
			require.NoError(t, err, "once more")
		})
	}
}

func TestANetworkThatIsCutIsUnavailableAndMends(t *testing.T) {
	t.Parallel()
	namespace := shared.Namespace(t)
	c, gate := behindGate(t)
	gate.Cut()
	// Nothing is known yet, not even the kinds.
	_, err := c.Get(t.Context(), mapReference(namespace, "kube-root-ca.crt"))
	requireFault(t, err, activities.Unavailable, `see whether the API server of provider "test" runs`, "ask the server for its kinds", "connection refused")
	_, err = c.Version(t.Context())
	requireFault(t, err, activities.Unavailable, "see whether", "ask the server for its version")
	require.NoError(t, gate.Mend())
	_, err = c.Get(t.Context(), mapReference(namespace, "kube-root-ca.crt"))
	require.NoError(t, err)
	gate.Cut()
	_, err = c.Get(t.Context(), mapReference(namespace, "kube-root-ca.crt"))
	requireFault(t, err, activities.Unavailable, "see whether", `read ConfigMap "kube-root-ca.crt"`)
	require.NoError(t, gate.Mend())
	_, err = c.Get(t.Context(), mapReference(namespace, "kube-root-ca.crt"))
	require.NoError(t, err)
}

func TestWhoMayNotIsToldWhichRightsItTakes(t *testing.T) {
	t.Parallel()
	cluster := shared.Cluster(t)
	kubeconfig, err := cluster.KubeconfigFor(kubernetes.Stranger, cluster.Token(kubernetes.Stranger))
	require.NoError(t, err)
	c := clientWith(t, kubeconfig)
	_, err = c.Create(t.Context(), mapNamed(t, "default", "a"))
	requireFault(t, err, activities.Forbidden, "docs/reference/kubernetes-role.yaml", `create ConfigMap "a" of namespace "default"`, `User "stranger" cannot create resource "configmaps"`)
	require.False(t, retryable(err))
}

func TestAServerThatHasJustComeBackMayNotKnowItsUsersYet(t *testing.T) {
	t.Parallel()
	namespace := shared.Namespace(t)
	for code, want := range map[int]activities.FaultKind{http.StatusForbidden: activities.Forbidden, http.StatusUnauthorized: activities.Unauthorized} {
		c, gate := behindGate(t)
		get := func() error {
			_, err := c.Get(t.Context(), mapReference(namespace, "kube-root-ca.crt"))
			return err
		}
		refuse := func(times int) { gate.Make(kubernetes.Trouble{Path: "/configmaps/", Times: times, Code: code}) }
		require.NoError(t, get())
		refuse(2) // credentials are read anew and tried once more
		requireFault(t, get(), want, "")
		gate.Clear()

		gate.Cut()
		requireFault(t, get(), activities.Unavailable, "see whether the API server")
		require.NoError(t, gate.Mend())
		refuse(2)
		requireFault(t, get(), activities.Unavailable, "may not have read yet who may do what")
		gate.Clear()
		require.NoError(t, get())

		c.connection.lost = time.Now().Add(-settleTime)
		refuse(2)
		requireFault(t, get(), want, "")
		gate.Clear()

		// What is not of the type of its kind is answered with 500 by one that is well.
		gate.Make(kubernetes.Trouble{Path: "/configmaps/", Code: http.StatusInternalServerError})
		requireFault(t, get(), activities.Unavailable, "see whether the API server")
		refuse(2)
		requireFault(t, get(), want, "")
	}
}

func TestWhatIsInvalidNamesEachField(t *testing.T) {
	t.Parallel()
	namespace := shared.Namespace(t)
	c := administrator(t)
	tests := map[string]struct {
		text  string
		words []string
	}{
		"several values": {`{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {sessionAffinity: Sometimes, ports: [{port: 70000}]}}`,
			[]string{"spec.ports[0].port: ", "spec.sessionAffinity: ", "; "}},
		"a field that is needed": {`{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: a}]}}}}`,
			[]string{"spec.template.spec.containers[0].image: "}},
		"a field that there is not": {`{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, dat: {a: b}}`, []string{".dat: field not declared in schema"}},
		"a value of another type":   {`{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {a: 1}}`, []string{`apply ConfigMap "a"`, ".data.a"}},
		"a name":                    {`{apiVersion: v1, kind: ConfigMap, metadata: {name: A_b}}`, []string{"metadata.name: "}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := c.Apply(t.Context(), parsed(t, namespace, test.text), ApplyOptions{})
			requireFault(t, err, activities.Invalid, "", test.words...)
			require.False(t, retryable(err))
		})
	}
	t.Run("a kind that there is not", func(t *testing.T) {
		_, err := c.Apply(t.Context(), parsed(t, namespace, `{apiVersion: example.test/v1, kind: Nothing, metadata: {name: a}}`), ApplyOptions{})
		requireFault(t, err, activities.Invalid, "install its custom resource definition", "does not serve the kind Nothing of example.test/v1")
	})
}

func TestWhatIsOfAWrongTypeIsNotSaid(t *testing.T) {
	t.Parallel()
	namespace := shared.Namespace(t)
	c := administrator(t)
	for name, test := range map[string]struct{ text, field string }{
		"a number":     {`{apiVersion: v1, kind: Secret, metadata: {name: a}, stringData: {password: 20406080, pin: 30507090}}`, ".stringData.password: expected string; .stringData.pin: expected string"},
		"a map":        {`{apiVersion: v1, kind: Secret, metadata: {name: a}, stringData: {password: {hidden: "20406080"}}}`, ".stringData.password: expected string"},
		"some lines":   {`{apiVersion: v1, kind: Secret, metadata: {name: a}, stringData: "one\n20406080\nthree"}`, ".stringData: expected map"},
		"a flag":       {`{apiVersion: v1, kind: Secret, metadata: {name: a}, immutable: "20406080"}`, ".immutable: expected boolean"},
		"no such text": {`{apiVersion: v1, kind: Secret, metadata: {name: a}, data: {password: "20406080!"}}`, "illegal base64 data"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := c.Apply(t.Context(), parsed(t, namespace, test.text), ApplyOptions{})
			requireFault(t, err, activities.Invalid, "")
			for _, field := range strings.Split(test.field, "; ") {
				require.ErrorContains(t, err, field)
			}
			for ; err != nil; err = errors.Unwrap(err) {
				require.NotContains(t, err.Error(), "0406080", "the value")
				require.NotContains(t, err.Error(), "0507090", "the value")
			}
		})
	}
}

func TestAQuotaSaysThatItIsOne(t *testing.T) {
	t.Parallel()
	namespace := shared.Namespace(t)
	request(t, http.MethodPost, "/api/v1/namespaces/"+namespace+"/resourcequotas", map[string]any{
		"metadata": map[string]any{"name": "few"}, "spec": map[string]any{"hard": map[string]any{"count/configmaps": "0"}},
	})
	c := administrator(t)
	// The server counts what there is before it holds anybody to the quota.
	var err error
	eventually(t, func() error {
		_, err = c.Create(t.Context(), mapNamed(t, namespace, "a"))
		if activities.IsKind(err, activities.Forbidden) {
			return nil
		}
		return c.Delete(t.Context(), mapReference(namespace, "a"), DeleteOptions{})
	})
	requireFault(t, err, activities.Forbidden, "have the quota of the namespace raised", "exceeded quota: few", "requested: count/configmaps=1")
}

func TestWhatAPolicyRefusesSaysWhichOne(t *testing.T) {
	t.Parallel()
	namespace := shared.Namespace(t)
	c := administrator(t)
	const policies = "/apis/admissionregistration.k8s.io/v1/"
	request(t, http.MethodPost, policies+"validatingadmissionpolicies", `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: no-maps-of-`+namespace+`}
spec:
  failurePolicy: Fail
  matchConstraints:
    namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: `+namespace+`}}
    resourceRules:
    - {apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [configmaps]}
  validations:
  - {expression: "false", message: maps are immutable here}
`)
	request(t, http.MethodPost, policies+"validatingadmissionpolicybindings", `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: no-maps-of-`+namespace+`}
spec: {policyName: no-maps-of-`+namespace+`, validationActions: [Deny]}
`)
	t.Cleanup(func() {
		for _, kind := range []string{"validatingadmissionpolicybindings", "validatingadmissionpolicies"} {
			require.NoError(t, shared.Cluster(t).Request(context.Background(), http.MethodDelete, policies+kind+"/no-maps-of-"+namespace, nil, nil))
		}
	})
	refusal := awaitRefusal(t, c, namespace)
	require.False(t, retryable(refusal))
	require.False(t, IsImmutable(refusal), "it says so, and is no reason to make the object anew")
	requireFault(t, refusal, activities.Invalid, "change what it objects to", "no-maps-of-"+namespace, "maps are immutable here")
}

func TestWhatAWebhookRefusesSaysWhichOne(t *testing.T) {
	t.Parallel()
	namespace := shared.Namespace(t)
	c := administrator(t)
	webhook := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review struct {
			Request struct {
				UID string `json:"uid"`
			} `json:"request"`
		}
		text, _ := io.ReadAll(r.Body)
		_ = json.Unmarshal(text, &review)
		_ = json.NewEncoder(w).Encode(map[string]any{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": map[string]any{
			"uid": review.Request.UID, "allowed": false, "status": map[string]any{"code": http.StatusForbidden, "message": "maps are not wanted here"},
		}})
	}))
	t.Cleanup(webhook.Close)
	const webhooks = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
	request(t, http.MethodPost, webhooks, map[string]any{
		"metadata": map[string]any{"name": "of-" + namespace},
		"webhooks": []any{map[string]any{
			"name": "maps.example.test", "sideEffects": "None", "admissionReviewVersions": []string{"v1"}, "failurePolicy": "Fail",
			"clientConfig":      map[string]any{"url": webhook.URL, "caBundle": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: webhook.Certificate().Raw})},
			"namespaceSelector": map[string]any{"matchLabels": map[string]string{"kubernetes.io/metadata.name": namespace}},
			"rules":             []any{map[string]any{"apiGroups": []string{""}, "apiVersions": []string{"v1"}, "operations": []string{"CREATE"}, "resources": []string{"configmaps"}}},
		}},
	})
	t.Cleanup(func() {
		require.NoError(t, shared.Cluster(t).Request(context.Background(), http.MethodDelete, webhooks+"/of-"+namespace, nil, nil))
	})
	requireFault(t, awaitRefusal(t, c, namespace), activities.Forbidden, "change what it objects to", `admission webhook "maps.example.test"`, "maps are not wanted here")

	webhook.Close()
	_, err := c.Create(t.Context(), mapNamed(t, namespace, "b"))
	requireFault(t, err, activities.Unavailable, "see whether the admission webhook", `failed calling webhook "maps.example.test"`)
	require.True(t, retryable(err))
}

// awaitRefusal is how the server refuses a ConfigMap, which it does a moment after it was
// told to.
func awaitRefusal(t *testing.T, c *Client, namespace string) error {
	t.Helper()
	var refusal error
	eventually(t, func() error {
		_, refusal = c.Create(t.Context(), mapNamed(t, namespace, "a"))
		if refusal != nil {
			return nil
		}
		require.NoError(t, c.Delete(t.Context(), mapReference(namespace, "a"), DeleteOptions{}))
		return errors.New("it is made")
	})
	return refusal
}

func TestANamespaceThatIsAboutToGoTakesNothing(t *testing.T) {
	t.Parallel()
	c := administrator(t)
	name := shared.Namespace(t)
	held := mapNamed(t, name, "held")
	held.SetFinalizers([]string{"test/hold"})
	_, err := c.Create(t.Context(), held)
	require.NoError(t, err)
	request(t, http.MethodDelete, "/api/v1/namespaces/"+name, nil)
	t.Cleanup(func() {
		require.NoError(t, shared.Cluster(t).Request(context.Background(), http.MethodPatch, "/api/v1/namespaces/"+name+"/configmaps/held", map[string]any{"metadata": map[string]any{"finalizers": nil}}, nil))
	})
	for doing, make := range map[string]func() error{
		"create": func() error { _, err := c.Create(t.Context(), mapNamed(t, name, "a")); return err },
		"apply":  func() error { _, err := c.Apply(t.Context(), mapNamed(t, name, "a"), ApplyOptions{}); return err },
	} {
		requireFault(t, make(), activities.Unavailable, "see what keeps the namespace from going", doing+` ConfigMap "a"`, "namespace "+name+" because it is being terminated")
	}
}

func TestACallerThatIsGoneIsNoFault(t *testing.T) {
	t.Parallel()
	namespace := shared.Namespace(t)
	c, gate := behindGate(t)
	stuck := make(chan struct{})
	var fault *activities.Fault

	t.Run("since its deadline passed", func(t *testing.T) {
		gate.Make(kubernetes.Trouble{Path: "/configmaps/slow", Do: func() { <-stuck }})
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		_, err := c.Get(ctx, mapReference(namespace, "slow"))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NotErrorAs(t, err, &fault)
		require.Contains(t, err.Error(), `read ConfigMap "slow"`)
	})
	t.Run("since it does not want it any more", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		gate.Make(kubernetes.Trouble{Path: "/configmaps/slow", Do: func() { cancel(); <-stuck }})
		_, err := c.Get(ctx, mapReference(namespace, "slow"))
		require.ErrorIs(t, err, context.Canceled)
		require.NotErrorAs(t, err, &fault)
	})
	close(stuck)
}

func TestApplyingTheSameChangesNothing(t *testing.T) {
	t.Parallel()
	namespace := shared.Namespace(t)
	c := administrator(t)
	text := `{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {replicas: 0, selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: a, image: a}]}}}}`
	_, err := c.Apply(t.Context(), parsed(t, namespace, text), ApplyOptions{})
	require.NoError(t, err)
	// Its controller writes a status once.
	eventually(t, func() error {
		before, err := c.Get(t.Context(), ReferenceOf(parsed(t, namespace, text)))
		require.NoError(t, err)
		if ready, message, _ := Status(before); !ready {
			return &activities.Fault{Message: message}
		}
		after, err := c.Apply(t.Context(), parsed(t, namespace, text), ApplyOptions{})
		require.NoError(t, err)
		require.Equal(t, before.GetResourceVersion(), after.GetResourceVersion())
		return nil
	})
}

func TestAFieldOfAnotherManagerIsAConflictUnlessItIsForced(t *testing.T) {
	t.Parallel()
	namespace := shared.Namespace(t)
	c := administrator(t)
	theirs, ours := mapNamed(t, namespace, "a"), mapNamed(t, namespace, "a")
	theirs.Object["data"] = map[string]any{"level": "debug", "theirs": "1"}
	ours.Object["data"] = map[string]any{"level": "info"}
	_, err := c.With(WriteOptions{Manager: "somebody"}).Apply(t.Context(), theirs, ApplyOptions{})
	require.NoError(t, err)

	_, err = c.Apply(t.Context(), ours, ApplyOptions{})
	requireFault(t, err, activities.Conflict, "take them with force: true", ".data.level: ", `conflict with "somebody"`)
	found, err := c.Get(t.Context(), ReferenceOf(ours))
	require.NoError(t, err)
	require.Equal(t, theirs.Object["data"], found.Object["data"])

	found, err = c.Apply(t.Context(), ours, ApplyOptions{Force: true})
	require.NoError(t, err)
	require.Equal(t, map[string]any{"level": "info", "theirs": "1"}, found.Object["data"])
	_, err = c.With(WriteOptions{Manager: "somebody"}).Apply(t.Context(), theirs, ApplyOptions{})
	requireFault(t, err, activities.Conflict, "force", `conflict with "windlass"`)
}
