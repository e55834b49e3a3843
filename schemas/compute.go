package schemas

import "windlass/schemas/quantity"

// Compute is a set of equal containers, its replicas.
type Compute struct {
	// Image is the image reference, with tag or digest.
	Image string `json:"image"`
	// Command replaces the image's entrypoint; Args replaces its command.
	Command []string `json:"command,omitempty"`
	Args    []string `json:"args,omitempty"`
	// Environment holds variables; values may contain references.
	Environment map[string]string `json:"environment,omitempty"`
	// User is a name or uid, optionally with ":group"; the default is the image's.
	User string `json:"user,omitempty"`
	// WorkingDir is an absolute path; the default is the image's.
	WorkingDir string `json:"workingDir,omitempty"`
	Ports      []Port `json:"ports,omitempty"`
	// Volumes are mounted in every replica.
	Volumes []VolumeMount `json:"volumes,omitempty"`
	// Networks are the names of the engine's networks to join, as a rule
	// references such as ${backend.name}. A name that is not a reference is a
	// network that exists already and is not managed.
	Networks []string `json:"networks,omitempty"`
	// SecurityGroups are references to SecurityGroups, such as ${web-access.name}.
	// With at least one of them, nothing passes that none of them allows.
	SecurityGroups []string     `json:"securityGroups,omitempty"`
	Resources      Requirements `json:"resources,omitzero"`
	// Replicas is from 0 to 1,000; the default is 1.
	Replicas *int `json:"replicas,omitempty"`
	// Scaling has the number of replicas follow their load; the default is Replicas.
	Scaling *Scaling `json:"scaling,omitempty"`
	// EndState is what a replica must reach; the default is EndStateHealthy with a
	// health check and EndStateRunning without.
	EndState EndState `json:"endState,omitempty"`
	// InitSteps run in this order before each new replica starts, each to its end. One
	// that fails keeps the replica from being made. A replica that is started again,
	// by the engine or after it was stopped, does not repeat them.
	InitSteps []InitStep `json:"initSteps,omitempty"`
	// Health says when a replica is healthy.
	Health *Health `json:"health,omitempty"`
	// StopGracePeriod lies between SIGTERM and SIGKILL; the default is 10s.
	StopGracePeriod *quantity.Duration `json:"stopGracePeriod,omitempty"`
	// ReadOnlyRootFilesystem keeps a container from writing anywhere but in its volumes
	// and in /tmp. The default is that of the provider.
	ReadOnlyRootFilesystem *bool `json:"readOnlyRootFilesystem,omitempty"`
	// RestartPolicy is what the engine does when a replica ends: Always, OnFailure or
	// Never. The default is Always; with EndStateCompleted it is Never, and nothing else.
	RestartPolicy RestartPolicy `json:"restartPolicy,omitempty"`
	// PullPolicy is Always, IfNotPresent (default) or Never.
	PullPolicy PullPolicy `json:"pullPolicy,omitempty"`
	// RegistryCredentials are used to pull the image.
	RegistryCredentials *RegistryCredentials `json:"registryCredentials,omitempty"`
	// Strategy is how a new version replaces the old one.
	Strategy *Strategy `json:"strategy,omitempty"`
}

// Port is one port of a container.
type Port struct {
	// ContainerPort is from 1 to 65535.
	ContainerPort int `json:"containerPort"`
	// HostPort publishes the port on the host; 0 does not publish it. A Compute
	// that publishes a port has at most one replica.
	HostPort int `json:"hostPort,omitempty"`
	// HostIP is the address to publish on; the default is 127.0.0.1.
	HostIP string `json:"hostIP,omitempty"`
	// Protocol is TCP (default) or UDP.
	Protocol string `json:"protocol,omitempty"`
}

// VolumeMount mounts a volume of the engine.
type VolumeMount struct {
	// Source is a volume name, as a rule a reference such as ${data.name}. A name
	// that is not a reference is a volume that exists already and is not managed.
	Source string `json:"source"`
	// MountPath is an absolute path in the container.
	MountPath string `json:"mountPath"`
	ReadOnly  bool   `json:"readOnly,omitempty"`
}

// Requirements bound what one container may use. Empty means unbounded.
type Requirements struct {
	// CPULimit and CPURequest are in cores ("0.5") or thousandths ("500m").
	CPULimit   quantity.CPU `json:"cpuLimit,omitempty"`
	CPURequest quantity.CPU `json:"cpuRequest,omitempty"`
	// MemoryLimit and MemoryRequest are in bytes, with Ki, Mi, Gi or k, M, G.
	MemoryLimit   quantity.Memory `json:"memoryLimit,omitempty"`
	MemoryRequest quantity.Memory `json:"memoryRequest,omitempty"`
}

// EndState is what a replica must reach before its Compute is ready.
type EndState string

// The end states.
const (
	EndStateRunning EndState = "running"
	EndStateHealthy EndState = "healthy"
	// EndStateCompleted is that of a job: it has run and ended with exit code 0.
	EndStateCompleted EndState = "completed"
)

// RestartPolicy is what the engine does when a container ends by itself.
type RestartPolicy string

// The restart policies.
const (
	RestartAlways    RestartPolicy = "Always"
	RestartOnFailure RestartPolicy = "OnFailure"
	RestartNever     RestartPolicy = "Never"
)

// PullPolicy says when an image is pulled.
type PullPolicy string

// The pull policies.
const (
	PullAlways       PullPolicy = "Always"
	PullIfNotPresent PullPolicy = "IfNotPresent"
	PullNever        PullPolicy = "Never"
)

// RegistryCredentials log in to a registry.
type RegistryCredentials struct {
	Username string `json:"username"`
	// Password is a reference such as ${secret.REGISTRY_TOKEN}, never the password itself.
	Password string `json:"password"`
}

// WithDefaults returns a copy in which every optional field has its value.
func (c Compute) WithDefaults() Compute {
	if c.Replicas == nil {
		one := 1
		c.Replicas = &one
	}
	if c.StopGracePeriod == nil {
		grace := defaultStopGracePeriod
		c.StopGracePeriod = &grace
	}
	if c.EndState == "" {
		c.EndState = EndStateRunning
		if c.Health != nil {
			c.EndState = EndStateHealthy
		}
	}
	if c.RestartPolicy == "" && c.EndState == EndStateCompleted {
		c.RestartPolicy = RestartNever
	}
	if c.RestartPolicy == "" {
		c.RestartPolicy = RestartAlways
	}
	if c.PullPolicy == "" {
		c.PullPolicy = PullIfNotPresent
	}
	ports := make([]Port, len(c.Ports))
	for i, p := range c.Ports {
		ports[i] = p.withDefaults()
	}
	c.Ports = ports
	if c.Health != nil {
		h := c.Health.WithDefaults()
		c.Health = &h
	}
	return c
}

func (p Port) withDefaults() Port {
	if p.HostIP == "" {
		p.HostIP = "127.0.0.1"
	}
	if p.Protocol == "" {
		p.Protocol = "TCP"
	}
	return p
}
