package kubernetes

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	rbac "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"

	"windlass/dev/kubernetes"
)

// auditPolicy has the server write down who asked for what.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules: [{level: Metadata}]
`

// audit is where the server writes that down.
type audit struct{ dir string }

// newAudit prepares the flags of a server that writes an audit log.
func newAudit() (audit, []string, error) {
	dir, err := os.MkdirTemp("", "windlass-audit-")
	if err != nil {
		return audit{}, nil, err
	}
	a := audit{dir}
	err = os.WriteFile(a.path("policy.yaml"), []byte(auditPolicy), 0o600)
	return a, []string{"--audit-policy-file=" + a.path("policy.yaml"), "--audit-log-path=" + a.path("audit.log")}, err
}

func (a audit) path(name string) string { return filepath.Join(a.dir, name) }

// right is a verb on a resource.
type right struct{ verb, group, resource string }

// used are the rights that a user has made use of.
func (a audit) used(user string) (map[right]bool, error) {
	log, err := os.Open(a.path("audit.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	rights := map[right]bool{}
	scanner := bufio.NewScanner(log)
	scanner.Buffer(nil, 16<<20)
	for scanner.Scan() {
		var event struct {
			Verb      string
			User      struct{ Username string }
			ObjectRef struct{ Resource, Subresource, APIGroup string }
		}
		if err := json.Unmarshal(scanner.Bytes(), &event); err != nil {
			return nil, err
		}
		if event.User.Username != user || event.ObjectRef.Resource == "" {
			continue
		}
		resource := event.ObjectRef.Resource
		if event.ObjectRef.Subresource != "" {
			resource += "/" + event.ObjectRef.Subresource
		}
		rights[right{event.Verb, event.ObjectRef.APIGroup, resource}] = true
	}
	return rights, scanner.Err()
}

// superfluous are the rights of the documented role that no test has made use of. To
// create and to patch is one request of server-side apply. To watch is what a wait for an
// object's end needs, which may have come before the wait.
func superfluous(used map[right]bool) ([]string, error) {
	text, err := os.ReadFile("../../docs/reference/kubernetes-role.yaml")
	if err != nil {
		return nil, err
	}
	var role rbac.ClusterRole
	if err := yaml.UnmarshalStrict(text, &role); err != nil {
		return nil, err
	}
	var unused []string
	for _, rule := range role.Rules {
		if rule.APIGroups[0] == "metrics.k8s.io" {
			continue // the test's cluster has no metrics server
		}
		for _, resource := range rule.Resources {
			for _, verb := range rule.Verbs {
				asked := verb
				if verb == "create" {
					asked = "patch"
				}
				if verb != "watch" && !used[right{asked, rule.APIGroups[0], resource}] {
					unused = append(unused, fmt.Sprintf("%s %s of %q", verb, resource, rule.APIGroups[0]))
				}
			}
		}
	}
	slices.Sort(unused)
	return unused, nil
}

func TestMain(m *testing.M) {
	flag.Parse()
	a, flags, err := newAudit()
	if err == nil {
		shared.Options.ServerFlags = flags
		code := shared.Run(m)
		// What a role allows and nobody needs is seen only when everything was tried.
		if everything := flag.Lookup("test.run").Value.String() == ""; code == 0 && everything {
			err = a.requireNeeded()
		}
		_ = os.RemoveAll(a.dir)
		if code != 0 {
			os.Exit(code)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "FAIL:", err)
		os.Exit(1)
	}
}

// requireNeeded fails when the documented role allows what nobody needs.
func (a audit) requireNeeded() error {
	used, err := a.used(kubernetes.Windlass)
	if err != nil {
		return err
	}
	unused, err := superfluous(used)
	if err == nil && len(unused) > 0 {
		err = fmt.Errorf("docs/reference/kubernetes-role.yaml allows what nothing needs: %q", unused)
	}
	return err
}
