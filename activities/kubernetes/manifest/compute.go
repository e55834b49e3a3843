package manifest

import (
	"fmt"
	"path"
	"slices"
	"strconv"

	"github.com/distribution/reference"

	"windlass/plan"
	"windlass/schemas"
)

// revisionHistory is how many earlier versions the controllers keep. Windlass goes back by
// applying an earlier document, so that they are there for people only.
const revisionHistory = 3

// setName is the name of the resource's StatefulSet.
func (t *translation) setName() string { return shortened(t.Resource, setNameLength) }

// compute is a Deployment, a StatefulSet where two replicas of one place cannot be there
// at once, or a Job, with what belongs to it.
func (t *translation) compute(c schemas.Compute) error {
	c = c.WithDefaults()
	namespace, err := t.namespace()
	if err != nil {
		return err
	}
	if err := t.permitted(c); err != nil {
		return err
	}
	template, err := t.computeTemplate(namespace, c)
	if err != nil {
		return err
	}
	if len(c.Ports) > 0 {
		t.service(namespace, c.Ports)
	}
	name := ObjectName(t.Resource)
	switch {
	case c.EndState == schemas.EndStateCompleted:
		t.add("batch/v1", "Job", namespace, name, fields{"spec": fields{
			"completions": *c.Replicas, "parallelism": *c.Replicas, "backoffLimit": 0, "template": template,
		}})
		return nil
	case !c.Overlaps():
		t.add("apps/v1", "StatefulSet", namespace, t.setName(), fields{"spec": t.held(fields{
			"replicas": *c.Replicas, "serviceName": ServiceName(t.Resource), "podManagementPolicy": "Parallel", "revisionHistoryLimit": revisionHistory,
			"selector": fields{"matchLabels": t.selector()}, "template": template,
		})})
	default:
		t.add("apps/v1", "Deployment", namespace, name, fields{"spec": t.deployment(c, template)})
	}
	t.autoscaler(namespace, name, c)
	if *c.Replicas > 1 || c.Scaling != nil && c.Scaling.MinInstances > 1 {
		t.add("policy/v1", "PodDisruptionBudget", namespace, name, fields{"spec": fields{
			"maxUnavailable": 1, "selector": fields{"matchLabels": t.selector()},
		}})
	}
	return nil
}

// permitted refuses what pods or the controllers of the cluster cannot do.
func (t *translation) permitted(c schemas.Compute) error {
	if c.RestartPolicy != schemas.RestartAlways && c.EndState != schemas.EndStateCompleted {
		return t.invalid("properties.restartPolicy", fmt.Sprintf("is %s, but the pods of a service are always restarted", c.RestartPolicy), "leave it out, or declare endState: completed for a job")
	}
	if kind := t.RolloutStrategy().Type; kind == schemas.StrategyCanary || kind == schemas.StrategyBlueGreen {
		return t.permittedShares(kind)
	}
	return nil
}

// permittedShares refuses to share requests out where nothing does that, and analyses.
func (t *translation) permittedShares(kind schemas.StrategyType) error {
	if !t.options.routes() {
		return t.invalid("properties.strategy.type", fmt.Sprintf("%s shares requests out by routes of the Gateway API, which the provider is not configured for or the cluster does not serve", kind),
			"install the Gateway API and give the provider a gatewayClass or a gateway, or use RollingUpdate or Recreate")
	}
	for i, step := range t.RolloutStrategy().Steps {
		if step.Analysis != nil {
			return t.invalid(fmt.Sprintf("properties.strategy.steps[%d].analysis", i), "the Kubernetes provider measures nothing", "leave it out, and hold the step with a pause until somebody promotes it")
		}
	}
	return nil
}

func (t *translation) deployment(c schemas.Compute, template fields) fields {
	s := t.RolloutStrategy()
	strategy := fields{"type": "Recreate"}
	if s.Type != schemas.StrategyRecreate {
		strategy["type"] = "RollingUpdate"
		unavailable := any(*s.MaxUnavailable)
		// The two are not both 0 by what they say: then nothing could ever move.
		if s.MaxSurge.Up(100) == 0 && s.MaxUnavailable.Down(100) == 0 {
			unavailable = 1
		}
		strategy["rollingUpdate"] = fields{"maxSurge": *s.MaxSurge, "maxUnavailable": unavailable}
	}
	spec := t.held(fields{
		"selector": fields{"matchLabels": t.selector()}, "template": template, "strategy": strategy,
		"progressDeadlineSeconds": max(s.ProgressDeadlineSeconds, s.MinReadySeconds+1),
		"revisionHistoryLimit":    revisionHistory,
	})
	if c.Scaling == nil {
		spec["replicas"] = *c.Replicas
	}
	return spec
}

// held adds how long a new pod has to stay ready. The server stores no 0, which would
// look like a difference.
func (t *translation) held(spec fields) fields {
	if hold := t.RolloutStrategy().MinReadySeconds; hold > 0 {
		spec["minReadySeconds"] = hold
	}
	return spec
}

// autoscaler owns the number of replicas where scaling is declared: the workload is
// applied without one.
func (t *translation) autoscaler(namespace, name string, c schemas.Compute) {
	if c.Scaling == nil {
		return
	}
	var metrics []any
	for _, target := range []struct {
		resource string
		share    float64
	}{{"cpu", c.Scaling.TargetCPUUtilization}, {"memory", c.Scaling.TargetMemoryUtilization}} {
		if target.share > 0 {
			metrics = append(metrics, fields{"type": "Resource", "resource": fields{
				"name": target.resource, "target": fields{"type": "Utilization", "averageUtilization": int(target.share*100 + 0.5)},
			}})
		}
	}
	t.add("autoscaling/v2", "HorizontalPodAutoscaler", namespace, name, fields{"spec": fields{
		"scaleTargetRef": fields{"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
		"minReplicas":    c.Scaling.MinInstances, "maxReplicas": c.Scaling.MaxInstances, "metrics": metrics,
	}})
}

// selector selects the pods of every version of the resource. It can never change.
func (t *translation) selector() map[string]string { return PodSelector(t.Target) }

// PodSelector are the labels that select the pods of every version of a resource.
func PodSelector(t plan.Target) map[string]string {
	labels := ScopeLabels(t.Scope)
	labels[LabelResource] = t.Resource
	return labels
}

// service gives the pods of the resource one name and address.
func (t *translation) service(namespace string, declared []schemas.Port) {
	var ports []any
	for _, p := range declared {
		ports = append(ports, fields{"name": "port-" + strconv.Itoa(p.ContainerPort) + suffix(p), "port": p.ContainerPort, "targetPort": p.ContainerPort, "protocol": p.Protocol})
	}
	t.add("v1", "Service", namespace, ServiceName(t.Resource), fields{"spec": fields{"selector": t.selector(), "ports": ports}})
}

// suffix tells ports of one number apart.
func suffix(p schemas.Port) string {
	if p.Protocol == "UDP" {
		return "-udp"
	}
	return ""
}

func (t *translation) computeTemplate(namespace string, c schemas.Compute) (fields, error) {
	user, err := t.user(c.User)
	if err != nil {
		return nil, err
	}
	p := pod{grace: *c.StopGracePeriod, groups: c.SecurityGroups, restart: "Always", user: user, credentials: c.RegistryCredentials}
	p.linger = len(c.Ports) > 0 && p.grace > 0
	if c.EndState == schemas.EndStateCompleted {
		p.restart, p.linger = "Never", false
	}
	var mounts []mount
	for i, v := range c.Volumes {
		name := "volume-" + strconv.Itoa(i)
		mounts = append(mounts, mount{name: name, path: v.MountPath, readOnly: v.ReadOnly})
		p.volumes = append(p.volumes, fields{"name": name, "persistentVolumeClaim": fields{"claimName": v.Source}})
	}
	if c.ReadOnlyRootFilesystem == nil || *c.ReadOnlyRootFilesystem {
		p.writable = []mount{}
		if !slices.ContainsFunc(c.Volumes, func(v schemas.VolumeMount) bool { return path.Clean(v.MountPath) == "/tmp" }) {
			p.volumes = append(p.volumes, scratch("tmp"))
			p.writable = append(p.writable, mount{name: "tmp", path: "/tmp"})
		}
	}
	main := container{
		name: "main", image: c.Image, field: "properties.image", pull: c.PullPolicy, entrypoint: c.Command, args: c.Args, workingDir: c.WorkingDir,
		environment: c.Environment, ports: c.Ports, mounts: mounts, resources: c.Resources, health: c.Health,
	}
	p.containers = []container{main}
	for i, s := range c.InitSteps {
		step := container{
			name: ObjectName("step-" + s.Name), image: s.Image, field: fmt.Sprintf("properties.initSteps[%d].image", i), pull: c.PullPolicy, entrypoint: s.Command, args: s.Args,
			environment: s.Environment, mounts: mounts, resources: c.Resources,
		}
		if step.image == "" {
			step.image, step.workingDir = c.Image, c.WorkingDir
		}
		p.init = append(p.init, step)
	}
	return t.template(namespace, p)
}

// registryOf is the registry that an image is pulled from, as credentials name it.
func registryOf(image string) (string, error) {
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return "", fmt.Errorf("%q is no image reference: %w", image, err)
	}
	if domain := reference.Domain(named); domain != "docker.io" {
		return domain, nil
	}
	return "https://index.docker.io/v1/", nil
}
