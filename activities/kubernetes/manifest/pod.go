package manifest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"

	"windlass/schemas"
	"windlass/schemas/quantity"
)

// pod is what the pods of a resource are like.
type pod struct {
	init, containers []container
	grace            quantity.Duration
	// linger has the pods serve on for a while after they were told to end.
	linger      bool
	groups      []string
	restart     string
	user        *userGroup
	credentials *schemas.RegistryCredentials
	volumes     []any
	// writable are the places that every container may write to beside its volumes; nil
	// leaves the root file system writable.
	writable []mount
}

type container struct {
	name, image string
	// field is the path of the property that names the image; empty where none does.
	field string
	pull  schemas.PullPolicy
	// entrypoint and args have no variables of the cluster in them.
	entrypoint, args []string
	workingDir       string
	environment      map[string]string
	ports            []schemas.Port
	mounts           []mount
	resources        schemas.Requirements
	health           *schemas.Health
}

type mount struct {
	name, path string
	readOnly   bool
}

type userGroup struct{ user, group int64 }

// scratch is a volume that lives as long as its pod.
func scratch(name string) any { return fields{"name": name, "emptyDir": fields{}} }

// lingering is how long a pod serves on after it was told to end. It is taken out of the
// endpoints of its Services at the same time, and nodes and gateways learn of that later:
// what they send it until then would be lost.
// https://github.com/kubernetes/kubernetes/issues/43576
const lingering = 5 * time.Second

// template is the template of the pods of a resource. What they need beside it, secrets
// above all, becomes objects of their own.
func (t *translation) template(namespace string, p pod) (fields, error) {
	if p.linger {
		p.grace += quantity.Duration(lingering)
	}
	spec := fields{
		"automountServiceAccountToken":  false,
		"enableServiceLinks":            false,
		"terminationGracePeriodSeconds": seconds(p.grace, 0),
		"restartPolicy":                 p.restart,
		"securityContext":               p.security(),
	}
	secret := map[string]string{}
	for _, group := range []struct {
		member     string
		containers []container
	}{{"initContainers", p.init}, {"containers", p.containers}} {
		var list []any
		for _, c := range group.containers {
			one, err := t.container(p, c, secret)
			if err != nil {
				return nil, err
			}
			list = append(list, one)
		}
		if len(list) > 0 {
			spec[group.member] = list
		}
	}
	if len(p.volumes) > 0 {
		spec["volumes"] = p.volumes
	}
	if len(secret) > 0 {
		for _, key := range sortedKeys(secret) {
			revealed, err := t.reveal(secret[key])
			if err != nil {
				return nil, err
			}
			secret[key] = revealed
		}
		t.secret(namespace, t.environmentSecret(), "Opaque", secret)
	}
	if p.credentials != nil {
		name := ObjectName(t.Resource + "-registry")
		config, err := t.registryConfig(p)
		if err != nil {
			return nil, err
		}
		t.secret(namespace, name, "kubernetes.io/dockerconfigjson", map[string]string{".dockerconfigjson": config})
		spec["imagePullSecrets"] = []any{fields{"name": name}}
	}
	labels := merged(Labels(t.Desired), VersionLabels(t.Desired))
	for _, group := range p.groups {
		labels[labelGroup+group], labels[labelGuarded] = "", "true"
	}
	return fields{"metadata": fields{"labels": labels}, "spec": spec}, nil
}

// environmentSecret is the name of the Secret with the variables that hold secrets. Each
// version has its own, so that pods of the former one can be started again meanwhile.
func (t *translation) environmentSecret() string {
	return ObjectName(t.Resource + "-environment-" + t.SpecHash[:min(len(t.SpecHash), 8)])
}

// security is the restricted Pod Security Standard, as far as a pod as a whole has it.
// https://kubernetes.io/docs/concepts/security/pod-security-standards/
func (p pod) security() fields {
	context := fields{"runAsNonRoot": true, "seccompProfile": fields{"type": "RuntimeDefault"}}
	if p.user != nil {
		context["runAsUser"], context["runAsNonRoot"] = p.user.user, p.user.user != 0
		if p.user.group >= 0 {
			context["runAsGroup"], context["fsGroup"] = p.user.group, p.user.group
			// Otherwise every file of a volume is gone through before each start.
			context["fsGroupChangePolicy"] = "OnRootMismatch"
		}
	}
	return context
}

func (t *translation) container(p pod, c container, secret map[string]string) (fields, error) {
	if _, err := registryOf(c.image); err != nil {
		return nil, t.invalid(c.field, err.Error(), "")
	}
	one := fields{
		"name": c.name, "image": c.image,
		"securityContext": fields{
			"allowPrivilegeEscalation": false, "capabilities": fields{"drop": []any{"ALL"}}, "readOnlyRootFilesystem": p.writable != nil,
		},
	}
	if c.pull != "" {
		one["imagePullPolicy"] = string(c.pull)
	}
	for member, list := range map[string][]string{"command": c.entrypoint, "args": c.args} {
		if len(list) > 0 {
			one[member] = words(list)
		}
	}
	if c.workingDir != "" {
		one["workingDir"] = c.workingDir
	}
	if variables := t.variables(c, secret); len(variables) > 0 {
		one["env"] = variables
	}
	var ports []any
	for _, port := range c.ports {
		published := fields{"containerPort": port.ContainerPort, "protocol": port.Protocol}
		if port.HostPort != 0 {
			published["hostPort"], published["hostIP"] = port.HostPort, port.HostIP
		}
		ports = append(ports, published)
	}
	if len(ports) > 0 {
		one["ports"] = ports
	}
	var mounts []any
	for _, m := range append(append([]mount{}, c.mounts...), p.writable...) {
		place := fields{"name": m.name, "mountPath": m.path}
		if m.readOnly {
			place["readOnly"] = true
		}
		mounts = append(mounts, place)
	}
	if len(mounts) > 0 {
		one["volumeMounts"] = mounts
	}
	if r := requirements(c.resources); len(r) > 0 {
		one["resources"] = r
	}
	if c.health != nil {
		one["readinessProbe"] = probe(*c.health)
	}
	if p.linger && len(c.ports) > 0 {
		one["lifecycle"] = fields{"preStop": fields{"sleep": fields{"seconds": int(lingering / time.Second)}}}
	}
	return one, nil
}

// words are the words of a command as they are meant.
func words(list []string) []any {
	all := make([]any, len(list))
	for i, word := range list {
		all[i] = verbatim(word)
	}
	return all
}

// verbatim escapes what the kubelet would take for a variable, in commands, in checks and
// in variables alike: "$(" begins one, and "$$" stands for a dollar sign.
func verbatim(text string) string {
	text = schemas.Unescape(text)
	if !strings.Contains(text, "$(") && !strings.Contains(text, "$$") {
		return text
	}
	return strings.ReplaceAll(text, "$", "$$")
}

// variables are those of a container. One that holds a secret is taken from a Secret, of
// which the kubelet takes nothing for a variable.
func (t *translation) variables(c container, secret map[string]string) []any {
	var all []any
	for _, name := range sortedKeys(c.environment) {
		value := c.environment[name]
		if !holdsSecret(value) {
			all = append(all, fields{"name": name, "value": verbatim(value)})
			continue
		}
		key := c.name + "." + name
		secret[key] = value
		all = append(all, fields{"name": name, "valueFrom": fields{"secretKeyRef": fields{"name": t.environmentSecret(), "key": key}}})
	}
	return all
}

// secret adds a Secret.
func (t *translation) secret(namespace, name, kind string, values map[string]string) {
	data := fields{}
	for key, value := range values {
		data[key] = base64.StdEncoding.EncodeToString([]byte(value))
	}
	t.add("v1", "Secret", namespace, name, fields{"type": kind, "data": data})
}

// registryConfig logs in to the registry of the first container's image.
func (t *translation) registryConfig(p pod) (string, error) {
	registry, err := registryOf(p.containers[0].image)
	if err != nil {
		return "", t.invalid("properties.image", err.Error(), "")
	}
	password, err := t.reveal(p.credentials.Password)
	if err != nil {
		return "", err
	}
	login := fields{"auths": fields{registry: fields{
		"username": p.credentials.Username, "password": password,
		"auth": base64.StdEncoding.EncodeToString([]byte(p.credentials.Username + ":" + password)),
	}}}
	text, err := json.Marshal(login)
	return string(text), err
}

// probe is the readiness probe of a health check: a pod that does not pass it gets no
// requests, and is not restarted for it. The start period needs no word: until it has
// passed for the first time a pod is not ready anyway.
func probe(h schemas.Health) fields {
	h = h.WithDefaults()
	probe := fields{
		"periodSeconds": seconds(*h.Interval, 1), "timeoutSeconds": seconds(*h.Timeout, 1),
		"successThreshold": h.HealthyThreshold, "failureThreshold": h.UnhealthyThreshold,
	}
	switch {
	case h.HTTP != nil:
		probe["httpGet"] = fields{"path": h.HTTP.Path, "port": h.HTTP.Port}
	case h.TCP != nil:
		probe["tcpSocket"] = fields{"port": h.TCP.Port}
	case h.Exec != nil:
		probe["exec"] = fields{"command": words(h.Exec.Command)}
	}
	return probe
}

// seconds is a duration in whole seconds, rounded up.
func seconds(d quantity.Duration, least int64) int64 {
	return max(least, int64((time.Duration(d)+time.Second-1)/time.Second))
}

// The finest amounts that a cluster deals out.
const (
	wholeBytes = resource.Scale(0)
	millicores = resource.Milli
)

// amount writes an amount as the server does, so that what it stores is what was said.
func amount(text string, finest resource.Scale) string {
	q, err := resource.ParseQuantity(text)
	if err != nil {
		return text // no document has one; the server says so
	}
	q.RoundUp(finest)
	return q.String()
}

func requirements(r schemas.Requirements) fields {
	limits, requests := fields{}, fields{}
	for _, declared := range []struct {
		in          fields
		name, value string
		finest      resource.Scale
	}{
		{limits, "cpu", string(r.CPULimit), millicores}, {limits, "memory", string(r.MemoryLimit), wholeBytes},
		{requests, "cpu", string(r.CPURequest), millicores}, {requests, "memory", string(r.MemoryRequest), wholeBytes},
	} {
		if declared.value != "" {
			declared.in[declared.name] = amount(declared.value, declared.finest)
		}
	}
	all := fields{}
	if len(limits) > 0 {
		all["limits"] = limits
	}
	if len(requests) > 0 {
		all["requests"] = requests
	}
	return all
}

// user reads "uid" or "uid:gid". A name means nothing without the image.
func (t *translation) user(declared string) (*userGroup, error) {
	if declared == "" {
		return nil, nil
	}
	name, group, grouped := strings.Cut(declared, ":")
	u := &userGroup{group: -1}
	var err error
	if u.user, err = number(name); err != nil {
		return nil, t.invalid("properties.user", fmt.Sprintf("%q is no number of a user, and the cluster does not know the image's names", name), "give the user's number, with :group where wanted")
	}
	if grouped {
		if u.group, err = number(group); err != nil {
			return nil, t.invalid("properties.user", fmt.Sprintf("%q is no number of a group, and the cluster does not know the image's names", group), "give the group's number")
		}
	}
	return u, nil
}

// number reads the number of a user or group, which has 31 bits.
func number(text string) (int64, error) {
	n, err := strconv.ParseUint(text, 10, 31)
	return int64(n), err
}
