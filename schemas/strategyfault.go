package schemas

import "fmt"

// strategy refuses what a strategy cannot do.
func (v *validation) strategy(index int, r *Resource, c Compute) {
	if c.Strategy == nil {
		return
	}
	s, path := c.Strategy.WithDefaults(), v.path(index, "properties.strategy")
	v.strategyFields(path, *c.Strategy, s.Type)
	beside := s.Type == StrategyBlueGreen || s.Type == StrategyCanary
	switch holds := c.holds(); {
	case beside && holds != "":
		v.fault(path+".type", fmt.Sprintf("%s needs both versions at once, which cannot both have the %s; use RollingUpdate or Recreate", s.Type, holds))
	case beside && c.EndState == EndStateCompleted:
		v.fault(path+".type", fmt.Sprintf("%s needs both versions at once, but a job runs once; use RollingUpdate", s.Type))
	case beside && !v.balanced(r.Name):
		v.fault(path+".type", fmt.Sprintf("%s moves requests, which needs a LoadBalancer whose target is ${%s.name}; declare one, or use RollingUpdate", s.Type, r.Name))
	case s.Type == StrategyCanary && len(s.Steps) == 0:
		v.fault(path+".steps", "a Canary needs at least one step")
	}
	for n, step := range s.Steps {
		if step.Analysis != nil {
			v.analysis(elementPath(path+".steps", n)+".analysis", *step.Analysis)
		}
	}
}

// holds names what two replicas of one index cannot have at once; empty is nothing.
func (c Compute) holds() string {
	for _, p := range c.Ports {
		if p.HostPort != 0 {
			return fmt.Sprintf("host port %d", p.HostPort)
		}
	}
	if len(c.Volumes) > 0 {
		return "volume " + c.Volumes[0].Source
	}
	return ""
}

// Overlaps says whether replicas of two versions can be there at once.
func (c Compute) Overlaps() bool { return c.holds() == "" && c.EndState != EndStateCompleted }

// balanced says whether a LoadBalancer stands in front of the Compute.
func (v *validation) balanced(compute string) bool {
	for i := range v.document.Spec.Resources {
		r := &v.document.Spec.Resources[i]
		if r.Type != TypeLoadBalancer {
			continue
		}
		b, err := Decode[LoadBalancer](*r)
		if name, ok := nameReference(b.Target); err == nil && ok && name == compute {
			return true
		}
	}
	return false
}

// strategyFields refuses fields that belong to another type.
func (v *validation) strategyFields(path string, s Strategy, kind StrategyType) {
	for _, field := range []struct {
		name string
		set  bool
		of   StrategyType
	}{
		{"maxSurge", s.MaxSurge != nil, StrategyRollingUpdate},
		{"maxUnavailable", s.MaxUnavailable != nil, StrategyRollingUpdate},
		{"warm", s.Warm != nil, StrategyBlueGreen},
		{"steps", s.Steps != nil, StrategyCanary},
	} {
		if field.set && field.of != kind {
			v.fault(path+"."+field.name, fmt.Sprintf("has no meaning with type %s, only with %s; leave it out", kind, field.of))
		}
	}
}

func (v *validation) analysis(path string, a Analysis) {
	checks := 0
	for _, set := range []bool{a.HTTP != nil, a.Exec != nil, a.Metrics != nil, a.PromQL != nil} {
		if set {
			checks++
		}
	}
	if checks != 1 {
		v.fault(path, fmt.Sprintf("has %d checks; exactly one of http, exec, metrics and promql is expected", checks))
	}
	if m := a.Metrics; m != nil && m.MaxErrorRatio == nil && m.MaxLatency == nil {
		v.fault(path+".metrics", "bounds nothing; give maxErrorRatio or maxLatency")
	}
	if q := a.PromQL; q != nil && q.Min == nil && q.Max == nil {
		v.fault(path+".promql", "bounds nothing; give min or max")
	}
	if a.FailureLimit >= a.Count {
		v.fault(path+".failureLimit", fmt.Sprintf("%d of %d measurements may fail, so that nothing is decided; give a smaller one", a.FailureLimit, a.Count))
	}
}
