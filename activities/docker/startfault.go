package docker

import (
	"context"
	"fmt"
	"regexp"
	"strconv"

	"github.com/containerd/errdefs"

	"windlass/activities"
	"windlass/plan"
	"windlass/schemas"
)

// createFault explains why the engine did not make the container. The engine's
// texts may repeat what it was given, so that they are redacted and the error
// itself is left out.
func (r *replica) createFault(ctx context.Context, err error) error {
	w := r.workload
	f := &activities.Fault{Resource: w.desired.Resource}
	switch {
	case noNetwork.MatchString(err.Error()):
		return r.missingNetwork(0, err)
	case ctx.Err() != nil, faultKind(err) == activities.Unavailable:
		return r.redacted(engineFault(ctx, w.desired.Resource, "create "+r.title(), err))
	case errdefs.IsNotFound(err) && containsAny(err.Error(), "no such image", "image not known"):
		f.Kind, f.Field = activities.NotFound, w.imageField
		f.Message = fmt.Sprintf("the engine has no image %q", w.config.Image)
		f.Hint = "pull or build the image"
	default:
		f.Kind, f.Message = faultKind(err), "create "+r.title()+": "+engineMessage(err)
		f.Hint = "correct the properties that the engine names"
	}
	return r.redacted(f)
}

var (
	takenPort = regexp.MustCompile(`:(\d+)(?:: | failed: |: bind: )`)
	noNetwork = regexp.MustCompile(`(?i)network (\S+) not found|unable to find network`)
)

// startFault explains why the engine could not start the container, which is
// left as it is: the next apply starts it again.
func (r *replica) startFault(ctx context.Context, err error) error {
	w := r.workload
	text := engineMessage(err)
	f := &activities.Fault{Resource: w.desired.Resource, Evidence: &schemas.Evidence{
		Container: w.containerName(r.index), State: string(plan.ContainerCreated),
	}}
	switch {
	case ctx.Err() != nil:
		return engineFault(ctx, w.desired.Resource, "start "+r.title(), err)
	case containsAny(text, "port is already allocated", "address already in use", "ports are not available"):
		i, port := r.portOf(text)
		f.Kind, f.Field = activities.Conflict, fmt.Sprintf("properties.ports[%d].hostPort", i)
		f.Message = fmt.Sprintf("port %d of the host is taken by something else", port)
		f.Hint = "stop what listens there, or choose another hostPort"
	case containsAny(text, "cannot assign requested address"):
		i, _ := r.portOf(text)
		f.Kind, f.Field = activities.Invalid, fmt.Sprintf("properties.ports[%d].hostIP", i)
		f.Message = fmt.Sprintf("the host has no address %s", w.ports[i].HostIP)
		f.Hint = "use an address of the host, such as 127.0.0.1"
	case noNetwork.MatchString(text):
		return r.missingNetwork(0, err)
	case containsAny(text, "executable file not found", "exec format error") || containsAny(text, "exec:") && containsAny(text, "no such file", "permission denied"):
		f.Kind, f.Field = activities.Invalid, "properties.command"
		f.Message = "the engine cannot run the command: " + text
		f.Hint = "correct command or image"
	case containsAny(text, "oci runtime", "oci permission denied", "unable to find user", "no matching entries in passwd", "invalid mount", "not a directory"):
		f.Kind, f.Message = activities.Invalid, "start "+r.title()+": "+text
		f.Hint = "correct the properties that the engine names"
	default:
		return r.redacted(engineFault(ctx, w.desired.Resource, "start "+r.title(), err))
	}
	return r.redacted(f)
}

// portOf finds the declared port that the engine's text names.
func (r *replica) portOf(text string) (index, port int) {
	named := map[int]bool{}
	for _, match := range takenPort.FindAllStringSubmatch(text, -1) {
		if n, err := strconv.Atoi(match[1]); err == nil {
			named[n] = true
		}
	}
	index = -1
	for i, p := range r.workload.ports {
		if p.HostPort != 0 && (index < 0 || named[p.HostPort] && !named[port]) {
			index, port = i, p.HostPort
		}
	}
	return max(index, 0), port
}

func (r *replica) missingNetwork(i int, err error) error {
	w := r.workload
	if len(w.networks) == 0 {
		return &activities.Fault{Kind: activities.NotFound, Resource: w.desired.Resource, Message: "start " + r.title() + ": " + err.Error()}
	}
	for n, name := range w.networks {
		if containsAny(err.Error(), name) {
			i = n
		}
	}
	return &activities.Fault{Kind: activities.NotFound, Resource: w.desired.Resource, Field: fmt.Sprintf("properties.networks[%d]", i),
		Message: fmt.Sprintf("there is no network named %q", w.networks[i]),
		Hint:    "refer to a Network with ${name.name}, or make the network first"}
}

// redacted takes revealed secrets out of a fault's text, and with them its cause.
func (r *replica) redacted(err error) error {
	f, ok := err.(*activities.Fault)
	if !ok {
		return err
	}
	clean := *f
	clean.Message = r.secrets.Redact(f.Message)
	clean.Err = nil
	return &clean
}
