package manifest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"flag"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"windlass/plan"
)

var update = flag.Bool("update", false, "write testdata/*/objects.yaml")

// pair is a certificate of its own, and its key.
func pair(t *testing.T) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "shop.test"}, NotAfter: time.Now().Add(time.Hour)}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	require.NoError(t, err)
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	block := func(kind string, bytes []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes}))
	}
	return block("CERTIFICATE", signed), block("PRIVATE KEY", encoded)
}

// Objects of examples are made without secrets: placeholders stand in the Secrets.
func TestWhatResourcesAreTranslatedTo(t *testing.T) {
	for name, options := range examples {
		t.Run(name, func(t *testing.T) {
			var text bytes.Buffer
			for _, d := range example(t, name) {
				objects, err := Objects(d, options, nil)
				require.NoError(t, err)
				require.NotEmpty(t, objects)
				outputs, err := Outputs(d)
				require.NoError(t, err)
				fmt.Fprintf(&text, "# %s %s offers %v\n", d.Type, d.Resource, outputs)
				for _, o := range objects {
					written, err := yaml.Marshal(o.Object)
					require.NoError(t, err)
					fmt.Fprintf(&text, "---\n%s", written)
				}
			}
			path := filepath.Join("testdata", name, "objects.yaml")
			if *update {
				require.NoError(t, os.WriteFile(path, text.Bytes(), 0o644))
			}
			want, err := os.ReadFile(path)
			require.NoError(t, err)
			const between = "---\n"
			is, should := strings.Split(text.String(), between), strings.Split(string(want), between)
			for i := range min(len(is), len(should)) {
				require.Equal(t, should[i], is[i], "go test -update writes it anew")
			}
			require.Len(t, is, len(should))
		})
	}
}

func TestEveryExampleIsTried(t *testing.T) {
	there, err := filepath.Glob(filepath.Join("testdata", "*", "document.yaml"))
	require.NoError(t, err)
	require.Len(t, examples, len(there))
}

// texts are all texts in a value, keys too.
func texts(value any) []string {
	switch v := value.(type) {
	case string:
		return []string{v}
	case []any:
		var all []string
		for _, element := range v {
			all = append(all, texts(element)...)
		}
		return all
	case map[string]any:
		var all []string
		for _, key := range sortedKeys(v) {
			all = append(append(all, key), texts(v[key])...)
		}
		return all
	}
	return nil
}

func TestSecretsAreInSecretsAndNowhereElse(t *testing.T) {
	secrets := map[string]int{}
	for name, options := range examples {
		for _, d := range example(t, name) {
			opened := vault(t).Open(d.Scope)
			generated, err := opened.Reveal("${generated." + d.Resource + ".password}")
			require.NoError(t, err)
			users, err := opened.Reveal("${generated.users-db.password}")
			require.NoError(t, err)
			objects, err := Objects(d, options, opened)
			require.NoError(t, err)
			for _, o := range objects {
				all := strings.Join(texts(o.Object), "\n")
				if o.GetKind() == "Secret" {
					data, _, err := unstructured.NestedStringMap(o.Object, "data")
					require.NoError(t, err)
					require.NotEmpty(t, data)
					for key, value := range data {
						plain, err := base64.StdEncoding.DecodeString(value)
						require.NoError(t, err, key)
						require.NotContains(t, string(plain), "${", key)
						if strings.Contains(string(plain), secretMark) || strings.Contains(string(plain), generated) || strings.Contains(string(plain), users) || strings.Contains(string(plain), "PRIVATE KEY") {
							secrets[key]++
						}
					}
					delete(o.Object, "data")
					all = strings.Join(texts(o.Object), "\n")
				}
				require.NotContains(t, all, secretMark)
				require.NotContains(t, all, generated)
				require.NotContains(t, all, users)
				require.NotContains(t, all, "PRIVATE KEY")
				require.Equal(t, opened.Redact(all), all)
			}
		}
	}
	for _, key := range []string{"main.DATABASE_URL", "main.API_TOKEN", "step-migrate.DATABASE_URL", ".dockerconfigjson", "tls.key", "server.POSTGRES_PASSWORD", "server.REDISCLI_AUTH"} {
		require.NotZero(t, secrets[key], "%s held no secret: %v", key, secrets)
	}
}

func TestNoTwoObjectsHaveOneName(t *testing.T) {
	for name, options := range examples {
		taken := map[string]plan.Target{}
		for _, d := range example(t, name) {
			objects, err := Objects(d, options, nil)
			require.NoError(t, err)
			for _, o := range objects {
				key := fmt.Sprintf("%s %s/%s", o.GetKind(), o.GetNamespace(), o.GetName())
				require.NotContains(t, taken, key, "%s of %s", name, d.Resource)
				taken[key] = d.Target
			}
		}
	}
}

// In a namespace that was there before nothing is closed, and a policy for what is
// published would close everything else.
func TestNamespacesThatWereThereAreNotClosed(t *testing.T) {
	for what, networks := range map[string]string{"taken over": `"${backend.name}"`, "named": "existing"} {
		adopting := `{name: backend, type: Network, properties: {adopt: existing}}`
		target := `{name: web, type: Compute, properties: {image: a, networks: [` + networks + `], ports: [{containerPort: 80}]}}`
		for _, d := range []plan.Desired{one(t, "backend", adopting, target), one(t, "it", adopting, target, balancer(`listen: [{port: 80}]`))} {
			objects, err := Objects(d, Options{}, nil)
			require.NoError(t, err)
			for _, o := range objects {
				require.Equal(t, "existing", o.GetNamespace())
				require.NotEqual(t, "NetworkPolicy", o.GetKind(), what)
			}
		}
	}
}
