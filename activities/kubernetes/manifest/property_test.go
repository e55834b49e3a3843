package manifest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation"

	"windlass/plan"
	"windlass/schemas"
)

// chance makes random documents that a cluster can serve.
type chance struct{ *rand.Rand }

func (c chance) once(in int) bool { return c.IntN(in) == 0 }

func (c chance) of(values ...any) any { return values[c.IntN(len(values))] }

// some are random members of an object.
func (c chance) some(members map[string]func() any) fields {
	out := fields{}
	for _, name := range sortedKeys(members) {
		if c.once(2) {
			out[name] = members[name]()
		}
	}
	return out
}

// text is one with everything that anybody could take for more than text.
func (c chance) text() any {
	return c.of("", "plain", "$", "$$", "$(PORT)", "$$(PORT)", "$${HOME}", "a\nb\t\"'`\\", "\u00e4\u20ac\U0001f600", "- a: {b}", "007", "true")
}

func (c chance) texts() any {
	all := []any{}
	for range c.IntN(4) {
		all = append(all, c.text())
	}
	return all
}

func (c chance) variables() any {
	out := fields{}
	for i := range c.IntN(5) {
		out[fmt.Sprintf("V_%d.x-y", i)] = c.of(c.text(), "${secret.A}", "a ${secret.B} $(c)", "${db.url}")
	}
	return out
}

func (c chance) resources() any {
	return c.some(map[string]func() any{
		"cpuRequest": func() any { return c.of("1m", "0.05", "0.0001") }, "cpuLimit": func() any { return c.of("1", "0.5", "1500m") },
		"memoryRequest": func() any { return c.of("1024", "1.5Mi", "7k") }, "memoryLimit": func() any { return c.of("1Gi", "1.5G", "100.7Mi") },
	})
}

func (c chance) credentials() any {
	return fields{"username": "robot", "password": "${secret.REGISTRY}"}
}

// placed puts something on a network, with groups or without.
func (c chance) placed(properties fields, networks ...any) fields {
	if network := c.of(append(networks, "${guarded.name}")...); network != nil {
		properties["networks"] = []any{network}
		if network == "${guarded.name}" && c.once(2) {
			properties["securityGroups"] = []any{"${first-group.name}", "${second-group.name}"}[:1+c.IntN(2)]
		}
	}
	return properties
}

func (c chance) compute() fields {
	properties := c.some(map[string]func() any{
		"command": c.texts, "args": c.texts, "environment": c.variables, "resources": c.resources,
		"user":                   func() any { return c.of("0", "1000", "1000:0", "65534:65534") },
		"workingDir":             func() any { return "/srv" },
		"stopGracePeriod":        func() any { return c.of("0s", "1ms", "1m") },
		"readOnlyRootFilesystem": func() any { return c.once(2) },
		"pullPolicy":             func() any { return c.of("Always", "IfNotPresent", "Never") },
		"registryCredentials":    c.credentials,
		"initSteps": func() any {
			return []any{fields{"name": "first", "args": c.texts(), "environment": c.variables()}, fields{"name": "second", "image": "b:2"}}[c.IntN(2):]
		},
	})
	properties["image"] = c.of("a", "registry.test:5000/a/b:1", "a@sha256:0000000000000000000000000000000000000000000000000000000000000000")
	job := c.once(4)
	if job {
		properties["endState"] = "completed"
	} else if c.once(2) {
		properties["health"] = c.health()
	}
	if c.once(2) {
		properties["ports"] = []any{fields{"containerPort": 80}, fields{"containerPort": 81}, fields{"containerPort": 81, "protocol": "UDP"}}[c.IntN(3):]
	}
	if c.once(3) {
		properties["volumes"] = []any{fields{"source": "${data.name}", "mountPath": c.of("/data", "/tmp", "/tmp/"), "readOnly": c.once(2)}}
		properties["networks"] = []any{"${guarded.name}"}
		properties["replicas"] = c.IntN(3)
		return properties
	}
	properties = c.placed(properties, nil, "${taken.name}", "existing-too")
	if job || c.once(2) {
		properties["replicas"] = c.IntN(5)
		return c.moved(properties, job)
	}
	properties["resources"] = fields{"cpuRequest": "10m", "memoryLimit": "64Mi"}
	properties["scaling"] = c.of(fields{"minInstances": 1, "maxInstances": 3, "targetCPUUtilization": 0.5}, fields{"minInstances": 2, "maxInstances": 2, "targetMemoryUtilization": 0.01})
	return c.moved(properties, job)
}

func (c chance) moved(properties fields, job bool) fields {
	if !job && c.once(2) {
		properties["strategy"] = c.of(fields{"type": "Recreate"}, fields{"maxSurge": c.of(0, 1, "10%", "0%"), "maxUnavailable": c.of(0, 2, "10%")},
			fields{"minReadySeconds": 700}, fields{"progressDeadlineSeconds": 5, "maxFailureRatio": 0.5})
	}
	return properties
}

func (c chance) health() any {
	check := c.of(fields{"http": fields{"port": 80}}, fields{"http": fields{"port": 80, "path": "/$(a)"}}, fields{"tcp": fields{"port": 80}},
		fields{"exec": fields{"command": []any{"sh", c.text()}}}).(fields)
	for key, value := range c.some(map[string]func() any{
		"interval": func() any { return c.of("10ms", "3s") }, "timeout": func() any { return c.of("1500ms", "2s") },
		"startPeriod": func() any { return "5s" }, "healthyThreshold": func() any { return 1 + c.IntN(3) }, "unhealthyThreshold": func() any { return 1 + c.IntN(3) },
	}) {
		check[key] = value
	}
	return check
}

func (c chance) database() fields {
	properties := c.some(map[string]func() any{
		"resources": c.resources, "size": func() any { return c.of("1Mi", "20Gi") }, "driver": func() any { return "standard" }, "retention": func() any { return c.of("delete", "retain") }, "startPeriod": func() any { return "5s" },
		"stopGracePeriod": func() any { return c.of("0s", "1m") }, "pullPolicy": func() any { return "Never" }, "registryCredentials": c.credentials,
	})
	properties["engine"], properties["version"] = c.of("postgres", "redis", "valkey"), c.of("7", "17.5")
	return c.placed(properties, nil, "${plain.name}", "existing-too")
}

func (c chance) balancer() fields {
	pair := fields{"certificate": "${secret.C}", "key": "${secret.K}"}
	listen := []any{
		fields{"port": 80}, fields{"port": 443, "tls": pair}, fields{"port": 81, "hostPort": 0},
		fields{"port": 82, "hostPort": 8082, "hostIP": "0.0.0.0"}, fields{"port": 83, "protocol": "TCP"}, fields{"port": 84, "protocol": "TCP", "hostPort": 8084},
	}
	c.Shuffle(len(listen), func(i, j int) { listen[i], listen[j] = listen[j], listen[i] })
	properties := fields{"target": "${target.name}", "listen": listen[:1+c.IntN(len(listen))]}
	if c.once(2) {
		properties["trafficPolicy"] = fields{"timeout": fields{"requestTimeout": c.of("0s", "1us", "1500ms", "49h0m1s")}}
	}
	return properties
}

func (c chance) group() fields {
	peer := func() any {
		return c.of(fields{"cidr": "10.0.0.0/8"}, fields{"resource": "target"}, fields{"resource": "db-guarded"}, fields{"group": "second-group"})
	}
	rules := func(member string) func() any {
		return func() any {
			all := []any{}
			for range c.IntN(3) {
				rule := c.of(fields{"protocol": "Any"}, fields{"protocol": "TCP"}, fields{"protocol": "UDP", "fromPort": 53}, fields{"protocol": "TCP", "fromPort": 80, "toPort": 90}).(fields)
				if c.once(2) {
					rule[member] = []any{peer(), peer()}
				}
				all = append(all, rule)
			}
			return all
		}
	}
	return c.some(map[string]func() any{"ingress": rules("sources"), "egress": rules("targets")})
}

// document declares one resource of each type and more, each with what is random.
func (c chance) document(t *testing.T) string {
	labels := func() any { return fields{"a/b": "c", "d": ""} }
	retention := func() any { return c.of("delete", "retain") }
	resources := []any{
		fields{"name": "guarded", "type": "Network", "properties": fields{"subnet": "10.40.0.0/24", "internal": c.once(2)}},
		fields{"name": "plain", "type": "Network", "properties": c.some(map[string]func() any{"internal": func() any { return true }, "labels": labels})},
		fields{"name": "taken", "type": "Network", "properties": fields{"adopt": "existing"}},
		fields{"name": "data", "type": "Storage", "properties": c.some(map[string]func() any{
			"size": func() any { return c.of("1", "1.5Gi", "10T") }, "driver": func() any { return "standard" }, "retention": retention, "labels": labels,
		})},
		fields{"name": "first-group", "type": "SecurityGroup", "properties": c.group()},
		fields{"name": "second-group", "type": "SecurityGroup", "properties": c.group()},
		fields{"name": "target", "type": "Compute", "properties": fields{"image": "a", "networks": []any{"${guarded.name}"}, "ports": []any{fields{"containerPort": 80}}}},
		fields{"name": "db", "type": "Database", "properties": fields{"engine": "postgres", "version": "17", "networks": []any{"${guarded.name}"}}},
		fields{"name": "db-guarded", "type": "Database", "properties": fields{"engine": "redis", "version": "7", "networks": []any{"${guarded.name}"}}},
		fields{"name": "cache", "type": "Database", "properties": c.database()},
		fields{"name": "edge", "type": "LoadBalancer", "properties": c.balancer()},
	}
	for i := range 5 {
		resources = append(resources, fields{"name": fmt.Sprintf("%dcompute", i), "type": "Compute", "properties": c.compute()})
	}
	for _, r := range resources {
		for key, value := range c.some(map[string]func() any{
			"protect":   func() any { return c.once(2) },
			"tags":      func() any { return fields{"a/b": "c", "a_b": "d", "team": c.text(), "fine": "one"} },
			"timeouts":  func() any { return fields{"create": "1m", "delete": c.of("1ns", "90m", "1s")} },
			"dependsOn": func() any { return []any{"plain", "taken"} },
		}) {
			kind := r.(fields)["type"]
			runs := kind == "Compute" || kind == "Database" || kind == "LoadBalancer"
			if (runs || key != "dependsOn") && (key != "tags" || r.(fields)["name"] != "taken") {
				r.(fields)[key] = value
			}
		}
	}
	text, err := json.Marshal(fields{
		"apiVersion": schemas.APIVersion, "kind": schemas.KindInfrastructure, "metadata": fields{"name": "shop"},
		"spec": fields{"environment": "staging", "resources": resources},
	})
	require.NoError(t, err)
	return string(text)
}

// everyDocument calls check with the resources of many random documents.
func everyDocument(t *testing.T, check func(d plan.Desired, o Options)) {
	for seed := range uint64(50) {
		c := chance{rand.New(rand.NewPCG(seed, 1))}
		o := Options{GatewayAPI: true, GatewayClass: "envoy"}
		all, err := declared(t, c.document(t), o)
		require.NoError(t, err, "seed %d", seed)
		for _, d := range all {
			check(d, o)
			if t.Failed() {
				t.Fatalf("seed %d: %s %s: %s", seed, d.Type, d.Resource, d.Properties)
			}
		}
	}
}

func TestAnObjectTellsTheDeclarationThatMadeIt(t *testing.T) {
	translated := 0
	everyDocument(t, func(d plan.Desired, o Options) {
		objects, err := Objects(d, o, nil)
		require.NoError(t, err)
		require.NotEmpty(t, objects)
		for _, object := range objects {
			live := overTheWire(t, object)
			found, err := DesiredOf(live)
			require.NoError(t, err)
			require.Equal(t, d.Target, found.Target)
			again, err := Objects(found, o, nil)
			require.NoError(t, err)
			require.Equal(t, objects, again)
			translated++
		}
	})
	require.Greater(t, translated, 1000)
}

// overTheWire is an object as a server stores it: as JSON.
func overTheWire(t *testing.T, o *unstructured.Unstructured) *unstructured.Unstructured {
	t.Helper()
	text, err := o.MarshalJSON()
	require.NoError(t, err)
	read := &unstructured.Unstructured{}
	require.NoError(t, read.UnmarshalJSON(text))
	require.Equal(t, o.Object, read.Object)
	return read
}

func TestNamesAndLabelsAreWhatEveryServerTakes(t *testing.T) {
	everyDocument(t, func(d plan.Desired, o Options) {
		objects, err := Objects(d, o, nil)
		require.NoError(t, err)
		for _, object := range objects {
			require.Empty(t, validation.IsDNS1123Label(object.GetName()))
			if object.GetKind() == "Service" {
				require.Empty(t, validation.IsDNS1035Label(object.GetName()))
			}
			for key, value := range object.GetLabels() {
				require.Empty(t, validation.IsQualifiedName(key))
				require.Empty(t, validation.IsValidLabelValue(value))
			}
			require.Subset(t, object.GetLabels(), Identity(d.Target))
		}
	})
}

// A template that changed without the declaration would restart pods for nothing.
func TestARevisionAloneChangesNoPod(t *testing.T) {
	everyDocument(t, func(d plan.Desired, o Options) {
		template := func(d plan.Desired) any {
			objects, err := Objects(d, o, nil)
			require.NoError(t, err)
			for _, object := range objects {
				if template, there, _ := unstructured.NestedMap(object.Object, "spec", "template"); there {
					return template
				}
			}
			return nil
		}
		later := d
		later.Revision, later.Protect, later.Timeouts.Delete = d.Revision+1, !d.Protect, d.Timeouts.Delete+1
		require.Equal(t, template(d), template(later))
	})
}
