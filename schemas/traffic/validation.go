package traffic

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"windlass/schemas/quantity"
)

const (
	maxWeight       = 1000
	maxSubsetWeight = 1000
	maxPort         = 65535
)

// Fault is one thing that is wrong.
type Fault struct {
	// Field is the path of the field, such as services[0].endpoints[2].address.
	Field string
	// Reason says what was found and what is accepted.
	Reason string
}

// Faults is an error of at least one Fault.
type Faults []Fault

// Error has a line for each fault.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, one := range f {
		lines[i] = one.Field + ": " + one.Reason
	}
	return strings.Join(lines, "\n")
}

// ParseConfiguration reads a configuration from JSON, as it is written, and checks
// it. A field that is not known is refused; the error is of type Faults where it is
// about a field.
func ParseConfiguration(text []byte) (Configuration, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	var c Configuration
	if err := decoder.Decode(&c); err != nil {
		return c, fmt.Errorf("the configuration is no JSON as it is expected: %w", err)
	}
	if decoder.More() {
		return c, fmt.Errorf("the configuration is followed by something else")
	}
	return c, c.Validate()
}

// Validate checks a configuration. The error is nil or of type Faults.
func (c Configuration) Validate() error {
	c = c.WithDefaults()
	v := &validation{}
	if c.Version == 0 {
		v.fault("version", "is 0; a number from 1 on is expected")
	}
	services, names, ports := map[string]Service{}, map[string]bool{}, map[string]bool{}
	for i, s := range c.Services {
		path := fmt.Sprintf("services[%d]", i)
		v.name(path+".name", s.Name)
		if _, twice := services[s.Name]; twice {
			v.fault(path+".name", fmt.Sprintf("%q is there twice", s.Name))
		}
		services[s.Name] = s
		v.service(path, s)
	}
	for i, s := range c.Services {
		if m := s.Mirror; m != nil {
			path := fmt.Sprintf("services[%d].mirror", i)
			v.reference(path+".service", m.Service, services)
			v.share(path+".share", *m.Share)
		}
	}
	for i, l := range c.Listeners {
		path := fmt.Sprintf("listeners[%d]", i)
		v.name(path+".name", l.Name)
		if names[l.Name] {
			v.fault(path+".name", fmt.Sprintf("%q is there twice", l.Name))
		}
		names[l.Name] = true
		if at := l.Endpoint(); ports[at] {
			v.fault(path+".port", fmt.Sprintf("%s is listened on twice", at))
		} else {
			ports[at] = true
		}
		v.listener(path, l, services)
	}
	if len(v.faults) > 0 {
		return v.faults
	}
	return nil
}

// Validate checks a policy by itself. Fields of faults are those of the policy.
func (p Policy) Validate() Faults {
	v := &validation{}
	v.policy("", p.WithDefaults())
	return v.faults
}

// Endpoint is address and port of a listener, such as ":8080".
func (l Listener) Endpoint() string { return net.JoinHostPort(l.Address, strconv.Itoa(l.Port)) }

type validation struct{ faults Faults }

func (v *validation) fault(field, reason string) {
	v.faults = append(v.faults, Fault{strings.TrimPrefix(field, "."), reason})
}

func (v *validation) name(field, name string) {
	if name == "" {
		v.fault(field, "is empty")
	}
}

func (v *validation) reference(field, name string, services map[string]Service) {
	if _, ok := services[name]; !ok {
		v.fault(field, fmt.Sprintf("%q is no service of this configuration", name))
	}
}

func (v *validation) share(field string, share float64) {
	if !(share >= 0 && share <= 1) {
		v.fault(field, fmt.Sprintf("is %v; a number from 0 to 1 is expected", share))
	}
}

func (v *validation) port(field string, port int) {
	if port < 1 || port > maxPort {
		v.fault(field, fmt.Sprintf("is %d; a port from 1 to %d is expected", port, maxPort))
	}
}

// duration refuses what is negative, and 0 where something has to take time.
func (v *validation) duration(field string, d *quantity.Duration, zero bool) {
	if *d < 0 || *d == 0 && !zero {
		v.fault(field, "is no time; a duration such as 30s is expected")
	}
}

func (v *validation) atLeast(field string, number, least int) {
	if number < least {
		v.fault(field, fmt.Sprintf("is %d; at least %d is expected", number, least))
	}
}

func (v *validation) oneOf(field, value string, accepted ...string) {
	if !slices.Contains(accepted, value) {
		v.fault(field, fmt.Sprintf("is %q; %s is expected", value, strings.Join(accepted, ", ")))
	}
}

func (v *validation) listener(path string, l Listener, services map[string]Service) {
	v.port(path+".port", l.Port)
	v.oneOf(path+".protocol", string(l.Protocol), string(HTTP), string(TCP))
	if _, err := netip.ParseAddr(l.Address); l.Address != "" && err != nil {
		v.fault(path+".address", fmt.Sprintf("%q is no IP address", l.Address))
	}
	v.atLeast(path+".maxConnections", l.MaxConnections, 0)
	v.atLeast(path+".maxHeaderBytes", l.MaxHeaderBytes, 1)
	v.duration(path+".readHeaderTimeout", l.ReadHeaderTimeout, false)
	if l.Service != "" {
		v.reference(path+".service", l.Service, services)
	}
	if l.Protocol == TCP && l.Service == "" {
		v.fault(path+".service", "is empty, and a TCP listener has nothing else to pass connections to")
	}
	if l.Protocol == TCP && len(l.Routes) > 0 {
		v.fault(path+".routes", "need protocol HTTP: TCP is passed on without a look")
	}
	if t := l.TLS; t != nil {
		v.pair(path+".tls", t.CertificateFile, t.KeyFile, true)
		if len(t.AllowedClients) > 0 && t.ClientCAFile == "" {
			v.fault(path+".tls.allowedClients", "has no meaning without clientCAFile")
		}
	}
	for n, r := range l.Routes {
		v.route(fmt.Sprintf("%s.routes[%d]", path, n), r, services)
	}
}

// pair checks that a certificate has its key.
func (v *validation) pair(path, certificate, key string, needed bool) {
	if certificate == "" && (needed || key != "") {
		v.fault(path+".certificateFile", "is empty")
	}
	if key == "" && (needed || certificate != "") {
		v.fault(path+".keyFile", "is empty")
	}
}

func (v *validation) route(path string, r Route, services map[string]Service) {
	v.reference(path+".service", r.Service, services)
	if r.PathPrefix != "" && !strings.HasPrefix(r.PathPrefix, "/") {
		v.fault(path+".pathPrefix", fmt.Sprintf("is %q; a path that starts with / is expected", r.PathPrefix))
	}
	for name, m := range map[string]*Match{"header": r.Header, "cookie": r.Cookie} {
		if m != nil && m.Name == "" {
			v.fault(path+"."+name+".name", "is empty")
		}
	}
	if r.Subset != "" && !slices.ContainsFunc(services[r.Service].Subsets, func(s Subset) bool { return s.Name == r.Subset }) {
		v.fault(path+".subset", fmt.Sprintf("%q is no subset of service %q", r.Subset, r.Service))
	}
}

func (v *validation) service(path string, s Service) {
	ids, subsets := map[string]bool{}, map[string]bool{}
	for n, one := range s.Subsets {
		at := fmt.Sprintf("%s.subsets[%d]", path, n)
		v.name(at+".name", one.Name)
		if subsets[one.Name] {
			v.fault(at+".name", fmt.Sprintf("%q is there twice", one.Name))
		}
		subsets[one.Name] = true
		if one.Weight < 0 || one.Weight > maxSubsetWeight {
			v.fault(at+".weight", fmt.Sprintf("is %d; a number from 0 to %d is expected", one.Weight, maxSubsetWeight))
		}
	}
	for n, e := range s.Endpoints {
		at := fmt.Sprintf("%s.endpoints[%d]", path, n)
		v.name(at+".id", e.ID)
		if ids[e.ID] {
			v.fault(at+".id", fmt.Sprintf("%q is there twice", e.ID))
		}
		ids[e.ID] = true
		v.address(at+".address", e.Address)
		if e.Weight < 1 || e.Weight > maxWeight {
			v.fault(at+".weight", fmt.Sprintf("is %d; a number from 1 to %d is expected", e.Weight, maxWeight))
		}
		if e.Subset != "" && !subsets[e.Subset] {
			v.fault(at+".subset", fmt.Sprintf("%q is no subset of the service", e.Subset))
		}
	}
	if t := s.TLS; t != nil {
		v.pair(path+".tls", t.CertificateFile, t.KeyFile, false)
	}
	v.policy(path+".policy", s.Policy)
}

func (v *validation) address(field, address string) {
	host, port, err := net.SplitHostPort(address)
	number, wrong := strconv.Atoi(port)
	if err != nil || wrong != nil || host == "" || number < 1 || number > maxPort {
		v.fault(field, fmt.Sprintf("%q is no host:port", address))
	}
}

func (v *validation) policy(path string, p Policy) {
	v.oneOf(path+".loadBalancer", string(p.LoadBalancer), string(RoundRobin), string(LeastConnections), string(Random), string(Weighted))
	if h := p.HealthCheck; h != nil {
		at := path + ".healthCheck"
		if !strings.HasPrefix(h.Path, "/") {
			v.fault(at+".path", fmt.Sprintf("is %q; a path that starts with / is expected", h.Path))
		}
		if h.Port != 0 {
			v.port(at+".port", h.Port)
		}
		v.duration(at+".interval", h.Interval, false)
		v.duration(at+".timeout", h.Timeout, false)
		v.atLeast(at+".healthyThreshold", h.HealthyThreshold, 1)
		v.atLeast(at+".unhealthyThreshold", h.UnhealthyThreshold, 1)
	}
	if o := p.OutlierDetection; o != nil {
		at := path + ".outlierDetection"
		v.atLeast(at+".consecutiveFaults", *o.ConsecutiveFaults, 0)
		v.atLeast(at+".minRequests", o.MinRequests, 1)
		v.share(at+".errorRatio", o.ErrorRatio)
		v.share(at+".maxEjectedShare", *o.MaxEjectedShare)
		v.duration(at+".interval", o.Interval, false)
		v.duration(at+".baseEjection", o.BaseEjection, false)
		v.duration(at+".maxEjection", o.MaxEjection, false)
	}
	if b := p.CircuitBreaker; b != nil {
		at := path + ".circuitBreaker"
		v.atLeast(at+".maxFailures", b.MaxFailures, 1)
		v.share(at+".failureThreshold", b.FailureThreshold)
		v.duration(at+".recoveryTimeout", b.RecoveryTimeout, false)
	}
	if r := p.Retry; r != nil {
		v.retry(path+".retry", r)
	}
	v.duration(path+".timeout.requestTimeout", p.Timeout.RequestTimeout, true)
	v.duration(path+".timeout.headerTimeout", p.Timeout.HeaderTimeout, true)
	v.duration(path+".timeout.connectTimeout", p.Timeout.ConnectTimeout, true)
	v.duration(path+".timeout.idleTimeout", p.Timeout.IdleTimeout, true)
	v.duration(path+".timeout.bodyIdleTimeout", p.Timeout.BodyIdleTimeout, true)
	v.share(path+".panicThreshold", p.PanicThreshold)
	v.atLeast(path+".limits.maxConnections", p.Limits.MaxConnections, 0)
	v.atLeast(path+".limits.maxPending", p.Limits.MaxPending, 0)
	if p.Limits.MaxBodyBytes < 0 {
		v.fault(path+".limits.maxBodyBytes", fmt.Sprintf("is %d; at least 0 is expected", p.Limits.MaxBodyBytes))
	}
	v.duration(path+".drainTimeout", p.DrainTimeout, true)
	v.duration(path+".slowStart", p.SlowStart, true)
}

func (v *validation) retry(path string, r *Retry) {
	v.atLeast(path+".maxRetries", *r.MaxRetries, 0)
	for n, on := range r.RetryOn {
		v.oneOf(fmt.Sprintf("%s.retryOn[%d]", path, n), string(on), string(Retry5xx), string(RetryConnectFailure), string(RetryReset), string(RetryTimeout))
	}
	if r.RetryTimeout != nil {
		v.duration(path+".retryTimeout", r.RetryTimeout, false)
	}
	v.duration(path+".backoff", r.Backoff, true)
	v.share(path+".budget", *r.Budget)
}
