package schemas

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// validation collects what a schema cannot say.
type validation struct {
	tree         *Tree
	document     *Infrastructure
	byName       map[string]*Resource
	dependencies map[string][]string
	faults       Faults
}

func (t *Tree) validate(document *Infrastructure) Faults {
	v := &validation{tree: t, document: document, byName: map[string]*Resource{}, dependencies: map[string][]string{}}
	if len(document.Spec.Parameters) > 0 {
		v.fault("spec.parameters", "only a Template has parameters; set kind: Template")
	}
	if d := document.Spec.Drift; d != nil && d.WithDefaults().Interval < shortestDriftInterval {
		v.fault("spec.drift.interval", fmt.Sprintf("%s is too short; at least %s is accepted", time.Duration(d.WithDefaults().Interval), time.Duration(shortestDriftInterval)))
	}
	for i := range document.Spec.Resources {
		r := &document.Spec.Resources[i]
		if _, twice := v.byName[r.Name]; twice {
			v.fault(v.path(i, "name"), fmt.Sprintf("resource %q is declared twice", r.Name))
			continue
		}
		v.byName[r.Name] = r
	}
	for i := range document.Spec.Resources {
		v.resource(i, &document.Spec.Resources[i])
	}
	if cycle := findCycle(v.dependencies); cycle != nil {
		at := slices.IndexFunc(document.Spec.Resources, func(r Resource) bool { return r.Name == cycle[0] })
		v.fault(v.path(at, "dependsOn"), "the dependencies form a cycle: "+strings.Join(cycle, " -> "))
	}
	v.hostPorts()
	return v.faults
}

func (v *validation) fault(path, reason string) {
	v.faults = append(v.faults, v.tree.Fault(path, reason))
}

func (v *validation) path(index int, member string) string {
	return memberPath(elementPath("spec.resources", index), member)
}

func (v *validation) resource(index int, r *Resource) {
	for n, name := range r.DependsOn {
		path := elementPath(v.path(index, "dependsOn"), n)
		switch {
		case name == r.Name:
			v.fault(path, fmt.Sprintf("%q depends on itself", name))
		case v.byName[name] == nil:
			v.fault(path, fmt.Sprintf("%q is no resource of this document; declared are %s", name, v.names()))
		default:
			v.depend(r.Name, name)
		}
	}
	v.references(index, r)
	switch r.Type {
	case TypeNetwork:
		v.network(index, r)
	case TypeStorage:
		v.storage(index, r)
	case TypeCompute:
		v.compute(index, r)
	case TypeDatabase:
		if d, err := Decode[Database](*r); err == nil {
			v.database(index, d)
			v.guard(index, r, d.SecurityGroups, d.Networks)
		}
	case TypeLoadBalancer:
		v.loadBalancer(index, r)
	case TypeSecurityGroup:
		v.securityGroup(index, r)
	case TypeKubernetes:
		v.kubernetes(index, r)
	}
}

func (v *validation) depend(name, on string) {
	if !slices.Contains(v.dependencies[name], on) {
		v.dependencies[name] = append(v.dependencies[name], on)
	}
}

func (v *validation) names() string {
	names := make([]string, 0, len(v.document.Spec.Resources))
	for _, r := range v.document.Spec.Resources {
		names = append(names, r.Name)
	}
	const most = 20
	if len(names) > most {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	return strings.Join(names, ", ")
}

func (v *validation) references(index int, r *Resource) {
	if len(r.Properties) == 0 {
		return
	}
	value, err := decodeJSON(r.Properties)
	if err != nil {
		v.fault(v.path(index, "properties"), err.Error())
		return
	}
	_, _ = walkStrings(value, v.path(index, "properties"), func(path, text string) (any, error) {
		v.text(path, r, text)
		return text, nil
	})
}

// text checks the references and expressions in one text.
func (v *validation) text(path string, r *Resource, text string) {
	parts, err := split(text)
	if err != nil {
		v.fault(path, err.Error())
	}
	for _, p := range parts {
		switch {
		case p.reference != nil:
			v.reference(path, r, *p.reference)
		case p.expression != nil:
			before := len(v.faults)
			for _, reference := range p.expression.references() {
				v.reference(path, r, reference)
			}
			if len(v.faults) > before {
				continue
			}
			if err := p.expression.check(v.holdsSecret); err != nil {
				v.fault(path, err.Error())
			}
		}
	}
}

// holdsSecret says whether the value of a reference holds a secret's placeholder.
func (v *validation) holdsSecret(reference Reference) bool {
	if reference.Namespace == NamespaceSecret {
		return true
	}
	target := v.byName[reference.Namespace]
	return target != nil && slices.Contains(secretOutputs[target.Type], reference.Name)
}

func (v *validation) reference(path string, r *Resource, reference Reference) {
	switch reference.Namespace {
	case NamespaceSecret:
		return
	case NamespaceParameter:
		v.fault(path, fmt.Sprintf("%s: only a Template has parameters; set kind: Template", reference))
		return
	case NamespaceGenerated:
		v.fault(path, fmt.Sprintf("%s cannot be used in a document; refer to an output such as ${db.password}", reference))
		return
	}
	target := v.byName[reference.Namespace]
	switch {
	case target == nil:
		v.fault(path, fmt.Sprintf("%s: %q is no resource of this document; declared are %s", reference, reference.Namespace, v.names()))
	case target.Name == r.Name:
		v.fault(path, fmt.Sprintf("%s refers to the resource itself", reference))
	case !slices.Contains(OutputNames[target.Type], reference.Name):
		v.fault(path, fmt.Sprintf("%s: a %s has no output %q; it has %s", reference, target.Type, reference.Name, strings.Join(OutputNames[target.Type], ", ")))
	default:
		v.depend(r.Name, target.Name)
	}
}

func (v *validation) compute(index int, r *Resource) {
	c, err := Decode[Compute](*r)
	if err != nil {
		v.fault(v.path(index, "properties"), err.Error())
		return
	}
	declaredReplicas := c.Replicas != nil
	c = c.WithDefaults()
	v.requirements(v.path(index, "properties.resources"), c.Resources)
	for n, p := range c.Ports {
		if p.HostPort != 0 && *c.Replicas > 1 {
			v.fault(elementPath(v.path(index, "properties.ports"), n)+".hostPort", fmt.Sprintf("%d replicas cannot all publish host port %d; leave hostPort out or set replicas: 1", *c.Replicas, p.HostPort))
		}
	}
	v.endState(index, c)
	v.scaling(index, c, declaredReplicas)
	v.strategy(index, r, c)
	v.initSteps(index, c.InitSteps)
	v.guard(index, r, c.SecurityGroups, c.Networks)
	if h := c.Health; h != nil {
		checks := 0
		for _, set := range []bool{h.HTTP != nil, h.TCP != nil, h.Exec != nil} {
			if set {
				checks++
			}
		}
		if checks != 1 {
			v.fault(v.path(index, "properties.health"), fmt.Sprintf("has %d checks; exactly one of http, tcp and exec is expected", checks))
		}
	}
}

// endState refuses what contradicts the declared end.
func (v *validation) endState(index int, c Compute) {
	health, policy := v.path(index, "properties.health"), v.path(index, "properties.restartPolicy")
	switch {
	case c.EndState == EndStateHealthy && c.Health == nil:
		v.fault(v.path(index, "properties.endState"), "is healthy, but there is no health check; declare one, or leave endState out")
	case c.EndState == EndStateRunning && c.Health != nil:
		v.fault(health, "has no meaning with endState running; leave one of them out")
	case c.EndState == EndStateCompleted && c.Health != nil:
		v.fault(health, "has no meaning with endState completed: a job is judged by its exit code; leave one of them out")
	case c.EndState == EndStateCompleted && c.RestartPolicy != RestartNever:
		v.fault(policy, fmt.Sprintf("is %s, but a job runs once; leave it out with endState completed", c.RestartPolicy))
	}
}

func (v *validation) database(index int, d Database) {
	v.requirements(v.path(index, "properties.resources"), d.Resources)
	if _, err := d.Size.Bytes(); err != nil {
		v.fault(v.path(index, "properties.size"), err.Error())
	}
	if d.Engine == EnginePostgres {
		return
	}
	const meaningless = "has no meaning with engine %s, which has %s; leave it out"
	if d.Name != "" {
		v.fault(v.path(index, "properties.name"), fmt.Sprintf(meaningless, d.Engine, "numbered databases, of which 0 is used"))
	}
	if d.User != "" {
		v.fault(v.path(index, "properties.user"), fmt.Sprintf(meaningless, d.Engine, `the user "default"`))
	}
}

func (v *validation) requirements(path string, r Requirements) {
	amounts := func(name string, request, limit func() (int64, error)) {
		asked, err := request()
		if err != nil {
			v.fault(path+"."+name+"Request", err.Error())
			return
		}
		most, err := limit()
		if err != nil {
			v.fault(path+"."+name+"Limit", err.Error())
			return
		}
		if most > 0 && asked > most {
			v.fault(path+"."+name+"Request", "is larger than the limit")
		}
	}
	amounts("cpu", r.CPURequest.Nano, r.CPULimit.Nano)
	amounts("memory", r.MemoryRequest.Bytes, r.MemoryLimit.Bytes)
}
