package manifest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"windlass/schemas"
	"windlass/schemas/quantity"
)

// pod is what the pods of a resource are like.
type pod struct {
	init, containers []container
	grace            quantity.Duration
	groups           []string
	restart          string
	user             *userGroup
	credentials      *schemas.RegistryCredentials
	volumes          []any
	// writable are the places that every container may write to beside its volumes; nil
	// leaves the root file system writable.
	writable []mount
}

type container struct {
	name, image string
	pull        schemas.PullPolicy
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

// template is the template of the pods of a resource. What they need beside it, secrets
// above all, becomes objects of their own.
func (t *translation) template(namespace string, p pod) (fields, error) {
	spec := fields{
		"automountServiceAccountToken":  false,
		"enableServiceLinks":            false,
		"terminationGracePeriodSeconds": seconds(p.grace, 0),
		"restartPolicy":                 p.restart,
		"securityContext":               p.security(),
	}
	secret := map[string]string{}
	for member, containers := range map[string][]container{"initContainers": p.init, "containers": p.containers} {
		var list []any
		for _, c := range containers {
			one, err := t.container(p, c, secret)
			if err != nil {
				return nil, err
			}
			list = append(list, one)
		}
		if len(list) > 0 {
			spec[member] = list
		}
	}
	if len(p.volumes) > 0 {
		spec["volumes"] = p.volumes
	}
	if len(secret) > 0 {
		for key, value := range secret {
			revealed, err := t.secrets.Reveal(value)
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

// environmentSecret is the name of the Secret with the variables that hold secrets.
func (t *translation) environmentSecret() string { return ObjectName(t.Resource + "-environment") }

// security is the restricted Pod Security Standard, as far as a pod as a whole has it.
// https://kubernetes.io/docs/concepts/security/pod-security-standards/
func (p pod) security() fields {
	context := fields{"runAsNonRoot": true, "seccompProfile": fields{"type": "RuntimeDefault"}}
	if p.user != nil {
		context["runAsUser"], context["runAsNonRoot"] = p.user.user, p.user.user != 0
		if p.user.group >= 0 {
			context["runAsGroup"], context["fsGroup"] = p.user.group, p.user.group
		}
	}
	return context
}

func (t *translation) container(p pod, c container, secret map[string]string) (fields, error) {
	one := fields{
		"name": c.name, "image": c.image,
		"securityContext": fields{
			"allowPrivilegeEscalation": false, "capabilities": fields{"drop": []any{"ALL"}}, "readOnlyRootFilesystem": p.writable != nil,
		},
	}
	if c.pull != "" {
		one["imagePullPolicy"] = string(c.pull)
	}
	for member, words := range map[string][]string{"command": c.entrypoint, "args": c.args} {
		escaped, err := t.words(member, words)
		if err != nil {
			return nil, err
		}
		if len(escaped) > 0 {
			one[member] = escaped
		}
	}
	if c.workingDir != "" {
		one["workingDir"] = c.workingDir
	}
	variables, err := t.variables(c, secret)
	if err != nil {
		return nil, err
	}
	if len(variables) > 0 {
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
		if one["readinessProbe"], err = t.probe(*c.health); err != nil {
			return nil, err
		}
	}
	return one, nil
}

// words are the words of a command as they are meant. Whoever may read pods sees them.
func (t *translation) words(member string, words []string) ([]any, error) {
	var all []any
	for _, word := range words {
		if holdsSecret(word) {
			return nil, t.invalid("properties."+member, "holds a secret, which everybody who may read pods would see", "give it by an environment variable")
		}
		all = append(all, verbatim(word))
	}
	return all, nil
}

// verbatim escapes what the kubelet would take for a variable.
func verbatim(text string) string { return strings.ReplaceAll(schemas.Unescape(text), "$", "$$") }

// holdsSecret says whether a text has a placeholder of a secret.
func holdsSecret(text string) bool {
	references, err := schemas.References(text)
	return err == nil && len(references) > 0
}

// variables are those of a container. One that holds a secret is taken from a Secret.
func (t *translation) variables(c container, secret map[string]string) ([]any, error) {
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
	return all, nil
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
	password, err := t.secrets.Reveal(p.credentials.Password)
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
func (t *translation) probe(h schemas.Health) (fields, error) {
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
		for _, word := range h.Exec.Command {
			if holdsSecret(word) {
				return nil, t.invalid("properties.health.exec.command", "holds a secret, which everybody who may read pods would see", "read it from an environment variable in the container")
			}
		}
		// A probe's command is run as it stands: nothing in it is a variable of the kubelet.
		var command []any
		for _, word := range h.Exec.Command {
			command = append(command, schemas.Unescape(word))
		}
		probe["exec"] = fields{"command": command}
	}
	return probe, nil
}

// seconds is a duration in whole seconds, rounded up.
func seconds(d quantity.Duration, least int64) int64 {
	return max(least, int64((time.Duration(d)+time.Second-1)/time.Second))
}

func requirements(r schemas.Requirements) fields {
	limits, requests := fields{}, fields{}
	for _, amount := range []struct {
		in          fields
		name, value string
	}{
		{limits, "cpu", string(r.CPULimit)}, {limits, "memory", string(r.MemoryLimit)},
		{requests, "cpu", string(r.CPURequest)}, {requests, "memory", string(r.MemoryRequest)},
	} {
		if amount.value != "" {
			amount.in[amount.name] = amount.value
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
	uid, err := strconv.ParseInt(name, 10, 64)
	if err != nil {
		return nil, t.invalid("properties.user", fmt.Sprintf("%q is no number, and the cluster does not know the image's names", name), "give the user's number, with :group where wanted")
	}
	u := &userGroup{user: uid, group: -1}
	if grouped {
		if u.group, err = strconv.ParseInt(group, 10, 64); err != nil {
			return nil, t.invalid("properties.user", fmt.Sprintf("group %q is no number, and the cluster does not know the image's names", group), "give the group's number")
		}
	}
	return u, nil
}
