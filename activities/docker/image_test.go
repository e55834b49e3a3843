package docker

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/distribution/reference"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"

	"windlass/activities"
	"windlass/plan"
	"windlass/schemas"
)

const registryPassword = "open-sesame"

// startRegistry runs a registry on loopback, which the engine trusts without TLS,
// with one image in it. A locked one wants the user "puller" and the password.
func startRegistry(t *testing.T, locked bool) (image string) {
	t.Helper()
	handler := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); locked && (user != "puller" || password != registryPassword) {
			w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	repository := "team/app-" + strings.ToLower(rand.Text()[:8])
	push(t, handler, repository, "1")
	return strings.TrimPrefix(server.URL, "http://") + "/" + repository + ":1"
}

// push puts an image with random layers into the registry, past its lock.
func push(t *testing.T, handler http.Handler, repository, tag string) {
	t.Helper()
	send := func(method, path, kind string, body io.Reader) {
		r := httptest.NewRequestWithContext(t.Context(), method, "/v2/"+repository+path, body)
		r.Header.Set("Content-Type", kind)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		require.Equal(t, http.StatusCreated, w.Code, w.Body.String())
	}
	image, err := random.Image(1024, 3)
	require.NoError(t, err)
	layers, err := image.Layers()
	require.NoError(t, err)
	for _, layer := range layers {
		digest, err := layer.Digest()
		require.NoError(t, err)
		content, err := layer.Compressed()
		require.NoError(t, err)
		send(http.MethodPost, "/blobs/uploads/?digest="+digest.String(), "application/octet-stream", content)
	}
	digest, err := image.ConfigName()
	require.NoError(t, err)
	config, err := image.RawConfigFile()
	require.NoError(t, err)
	send(http.MethodPost, "/blobs/uploads/?digest="+digest.String(), "application/octet-stream", bytes.NewReader(config))
	kind, err := image.MediaType()
	require.NoError(t, err)
	manifest, err := image.RawManifest()
	require.NoError(t, err)
	send(http.MethodPut, "/manifests/"+tag, string(kind), bytes.NewReader(manifest))
}

// registrySecrets reveal ${secret.RIGHT} and ${secret.WRONG}.
func registrySecrets(t *testing.T) activities.Secrets {
	t.Helper()
	folder := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(folder, "RIGHT"), []byte(registryPassword), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "WRONG"), []byte("wrong-password"), 0o600))
	vault, err := activities.NewVault([]byte(strings.Repeat("k", 32)), folder)
	require.NoError(t, err)
	return vault.Open(schemas.Scope{Environment: "test", Infrastructure: "pull"})
}

func TestPull(t *testing.T) {
	t.Parallel()
	open, locked := startRegistry(t, false), startRegistry(t, true)
	credentials := func(secret string) *schemas.RegistryCredentials {
		return &schemas.RegistryCredentials{Username: "puller", Password: "${secret." + secret + "}"}
	}
	cases := map[string]struct {
		image activities.Image
		// kind is empty when the pull succeeds.
		kind    activities.FaultKind
		message string
	}{
		"an image of an open registry":            {activities.Image{Reference: open}, "", ""},
		"with the right password":                 {activities.Image{Reference: locked, Credentials: credentials("RIGHT")}, "", ""},
		"with the wrong password":                 {activities.Image{Reference: locked, Credentials: credentials("WRONG"), Policy: schemas.PullAlways}, activities.Unauthorized, "refuses the credentials"},
		"without a password":                      {activities.Image{Reference: locked, Policy: schemas.PullAlways}, activities.Unauthorized, "wants credentials"},
		"with a secret that is not there":         {activities.Image{Reference: locked, Credentials: credentials("NOTHING"), Policy: schemas.PullAlways}, activities.NotFound, "NOTHING"},
		"a tag that is not there":                 {activities.Image{Reference: strings.TrimSuffix(open, "1") + "2"}, activities.NotFound, ":2"},
		"a repository that is not there":          {activities.Image{Reference: strings.Replace(open, "/team/", "/other/", 1)}, activities.NotFound, "/other/"},
		"a digest that is not there":              {activities.Image{Reference: strings.TrimSuffix(open, ":1") + "@sha256:" + strings.Repeat("a", 64)}, activities.NotFound, "sha256:"},
		"a local name that is not built":          {activities.Image{Reference: "windlass.local/nothing:1"}, activities.NotFound, "windlass.local/nothing:1"},
		"a host that does not resolve":            {activities.Image{Reference: "no-such-registry.invalid/nothing:1"}, activities.NotFound, "no-such-registry.invalid"},
		"a registry that does not answer":         {activities.Image{Reference: "127.0.0.1:1/nothing:1"}, activities.Unavailable, "connection refused"},
		"a text that is no reference":             {activities.Image{Reference: "No Image!"}, activities.Invalid, "No Image!"},
		"what must not be pulled and is not here": {activities.Image{Reference: "windlass.local/nothing:1", Policy: schemas.PullNever}, activities.NotFound, "Never"},
		"what must not be pulled and is here":     {activities.Image{Reference: "windlass.local/fixture:1", Policy: schemas.PullNever}, "", ""},
		"what is here already":                    {activities.Image{Reference: "windlass.local/fixture:1", Policy: schemas.PullIfNotPresent}, "", ""},
		"what is only here, pulled always":        {activities.Image{Reference: "windlass.local/fixture:1", Policy: schemas.PullAlways}, activities.NotFound, "windlass.local/fixture:1"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			c.image.Field = "properties.image"
			err := l.provider.Pull(t.Context(), c.image, registrySecrets(t), l.spoken.say)
			if c.kind == "" {
				require.NoError(t, err)
				_, err = l.engine.ImageInspect(t.Context(), c.image.Reference)
				require.NoError(t, err)
				if strings.HasPrefix(c.image.Reference, "127.") {
					require.Contains(t, l.spoken.String(), "pulling "+c.image.Reference+": ")
					t.Cleanup(func() {
						_, _ = l.engine.ImageRemove(context.Background(), c.image.Reference, client.ImageRemoveOptions{})
					})
				}
				return
			}
			f := requireFault(t, err, c.kind)
			require.Contains(t, f.Message, c.message)
			require.NotContains(t, f.Error(), "wrong-password")
			if !strings.Contains(c.message, "NOTHING") {
				require.Equal(t, "properties.image", f.Field)
				require.NotEmpty(t, f.Hint)
			}
		})
	}
}

func TestWhatTheEngineSaysOfAPullDecidesTheKind(t *testing.T) {
	cases := map[string]struct {
		text string
		kind activities.FaultKind
	}{
		"Docker Hub knows no such repository":     {"pull access denied for library/nothing, repository does not exist or may require 'docker login': denied: requested access to the resource is denied", activities.NotFound},
		"a manifest is missing":                   {"manifest for registry.example.com/app:9 not found: manifest unknown: manifest unknown", activities.NotFound},
		"the login is wrong":                      {"Get \"https://registry.example.com/v2/\": unauthorized: incorrect username or password", activities.Unauthorized},
		"the registry forbids it":                 {"error parsing HTTP 403 response body: denied: permission denied", activities.Unauthorized},
		"the platform is missing":                 {"no matching manifest for linux/amd64 in the manifest list entries", activities.NotFound},
		"the name server fails for the moment":    {"Get \"https://registry.example.com/v2/\": dial tcp: lookup registry.example.com: Temporary failure in name resolution", activities.Unavailable},
		"the name does not exist":                 {"Get \"https://registry.example.com/v2/\": dial tcp: lookup registry.example.com on 192.0.2.1:53: no such host", activities.NotFound},
		"the registry is slow":                    {"Get \"https://registry.example.com/v2/\": net/http: TLS handshake timeout", activities.Unavailable},
		"the registry is overloaded":              {"received unexpected HTTP status: 503 Service Unavailable", activities.Unavailable},
		"too many pulls":                          {"toomanyrequests: You have reached your pull rate limit", activities.Unavailable},
		"the certificate is unknown":              {"Get \"https://registry.example.com/v2/\": x509: certificate signed by unknown authority", activities.Invalid},
		"the disk is full":                        {"write /var/lib/docker/tmp/GetImageBlob1: no space left on device", activities.Unavailable},
		"no login was given where one is needed":  {"Get \"https://registry.example.com/v2/app/manifests/1\": no basic auth credentials", activities.Unauthorized},
		"a token cannot be got for a bad account": {"Head \"https://registry.example.com/v2/app/manifests/1\": authentication required", activities.Unauthorized},
	}
	image := activities.Image{Reference: "registry.example.com/app:9", Field: "properties.image"}
	named, err := reference.ParseNormalizedNamed(image.Reference)
	require.NoError(t, err)
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			requireFault(t, transferFault(t.Context(), "pull", named, image, activities.NewSecretsNone(), textError(c.text)), c.kind)
		})
	}
}

type textError string

func (e textError) Error() string { return string(e) }

func TestWhatAPullReports(t *testing.T) {
	report := `{"status":"Pulling from app","id":"1"}
{"status":"Pulling fs layer","progressDetail":{},"id":"a"}
{"status":"Pulling fs layer","progressDetail":{},"id":"b"}
{"status":"Downloading","progressDetail":{"current":500000,"total":2000000},"id":"a"}
{"status":"Downloading","progressDetail":{"current":1000000,"total":1000000},"id":"b"}
{"status":"Pull complete","progressDetail":{},"id":"b"}
{"status":"Digest: sha256:0"}`
	l := newLayers("pulling app:1", func(string) {})
	require.NoError(t, readTransfer(strings.NewReader(report), l))
	require.Equal(t, "pulling app:1: 1 of 2 layers, 1.5MB of 3MB", l.String())

	require.EqualError(t, readTransfer(strings.NewReader(`{"errorDetail":{"message":"manifest unknown"},"error":"manifest unknown"}`), l), "manifest unknown")
	require.EqualError(t, readTransfer(strings.NewReader(`{"error":"only in Podman's words"}`), l), "only in Podman's words")
	require.Error(t, readTransfer(strings.NewReader(`{"status":"Pull`), l), "a report that breaks off is no success")
}

func TestImagesOfAResource(t *testing.T) {
	l := &lab{T: t}
	p := newProvider(t, "")
	credentials := &schemas.RegistryCredentials{Username: "puller", Password: "${secret.TOKEN}"}
	images, err := p.Images(l.compute("web", schemas.Compute{Image: "app:1", PullPolicy: schemas.PullAlways, RegistryCredentials: credentials}))
	require.NoError(t, err)
	require.Equal(t, []activities.Image{{Reference: "app:1", Policy: schemas.PullAlways, Credentials: credentials, Field: "properties.image"}}, images)
	images, err = p.Images(plan.Desired{Target: plan.Target{Type: schemas.TypeNetwork}})
	require.NoError(t, err)
	require.Empty(t, images)
}
