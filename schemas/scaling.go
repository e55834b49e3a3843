package schemas

import (
	"encoding/json"
	"fmt"
)

// Scaling has the number of replicas follow what they use.
type Scaling struct {
	// MinInstances and MaxInstances bound the replicas, from 1 to 1,000.
	MinInstances int `json:"minInstances"`
	MaxInstances int `json:"maxInstances"`
	// TargetCPUUtilization and TargetMemoryUtilization are the shares of what is
	// requested, above 0, that replicas are to use on average; at least one is given.
	TargetCPUUtilization    float64 `json:"targetCPUUtilization,omitempty"`
	TargetMemoryUtilization float64 `json:"targetMemoryUtilization,omitempty"`
}

// scaling refuses what contradicts itself. Utilization is a share of a request, so that
// there has to be one.
func (v *validation) scaling(index int, c Compute, declaredReplicas bool) {
	s := c.Scaling
	if s == nil {
		return
	}
	path := v.path(index, "properties.scaling")
	switch {
	case declaredReplicas:
		v.fault(v.path(index, "properties.replicas"), "has no meaning with scaling, which decides how many there are; leave one of them out")
	case c.EndState == EndStateCompleted:
		v.fault(path, "has no meaning with endState completed: a job runs once; leave it out")
	case !c.Overlaps():
		v.fault(path, fmt.Sprintf("has no meaning with %s, which only one replica can have; leave it out", c.holds()))
	}
	if s.MinInstances > s.MaxInstances {
		v.fault(path+".minInstances", fmt.Sprintf("%d is more than maxInstances, %d", s.MinInstances, s.MaxInstances))
	}
	if s.TargetCPUUtilization == 0 && s.TargetMemoryUtilization == 0 {
		v.fault(path, "has no target; give targetCPUUtilization or targetMemoryUtilization")
	}
	if s.TargetCPUUtilization > 0 && c.Resources.CPURequest == "" && c.Resources.CPULimit == "" {
		v.fault(path+".targetCPUUtilization", "is a share of what a replica asks for; declare resources.cpuRequest")
	}
	if s.TargetMemoryUtilization > 0 && c.Resources.MemoryRequest == "" && c.Resources.MemoryLimit == "" {
		v.fault(path+".targetMemoryUtilization", "is a share of what a replica asks for; declare resources.memoryRequest")
	}
}

// completeScaling gives the Computes that do not say how many replicas they have the
// scaling of the document.
func (i *Infrastructure) completeScaling() error {
	if i.Spec.Scaling == nil {
		return nil
	}
	for n := range i.Spec.Resources {
		r := &i.Spec.Resources[n]
		if r.Type != TypeCompute {
			continue
		}
		c, err := Decode[Compute](*r)
		if err != nil || c.Replicas != nil || c.Scaling != nil || c.EndState == EndStateCompleted {
			continue
		}
		var properties map[string]any
		if err := json.Unmarshal(r.Properties, &properties); err != nil {
			return fmt.Errorf("properties of Compute %q: %w", r.Name, err)
		}
		properties["scaling"] = i.Spec.Scaling
		if r.Properties, err = json.Marshal(properties); err != nil {
			return fmt.Errorf("properties of Compute %q: %w", r.Name, err)
		}
	}
	return nil
}
