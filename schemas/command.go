package schemas

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The types of command.
const (
	CommandDeploymentRequested = "io.windlass.deployment.requested.v1"
	CommandDestroyRequested    = "io.windlass.destroy.requested.v1"
	CommandUnprotectRequested  = "io.windlass.unprotect.requested.v1"
	CommandCancelRequested     = "io.windlass.deployment.cancel.requested.v1"
	CommandApproveRequested    = "io.windlass.deployment.approve.requested.v1"
	CommandResumeRequested     = "io.windlass.deployment.resume.requested.v1"
	CommandResyncRequested     = "io.windlass.resync.requested.v1"
	CommandScaleRequested      = "io.windlass.scale.requested.v1"
	CommandRolloutPause        = "io.windlass.rollout.pause.requested.v1"
	CommandRolloutResume       = "io.windlass.rollout.resume.requested.v1"
	CommandRolloutPromote      = "io.windlass.rollout.promote.requested.v1"
	CommandRolloutAbort        = "io.windlass.rollout.abort.requested.v1"
	CommandContainerRun        = "io.windlass.container.run.requested.v1"
	CommandContainerStop       = "io.windlass.container.stop.requested.v1"
	CommandContainerStart      = "io.windlass.container.start.requested.v1"
	CommandContainerPause      = "io.windlass.container.pause.requested.v1"
	CommandContainerResume     = "io.windlass.container.resume.requested.v1"
	CommandContainerRestart    = "io.windlass.container.restart.requested.v1"
	CommandContainerRemove     = "io.windlass.container.remove.requested.v1"
)

// CommandTypes lists every type of command.
var CommandTypes = []string{
	CommandDeploymentRequested, CommandDestroyRequested, CommandUnprotectRequested,
	CommandCancelRequested, CommandApproveRequested, CommandResumeRequested, CommandResyncRequested, CommandScaleRequested,
	CommandRolloutPause, CommandRolloutResume, CommandRolloutPromote, CommandRolloutAbort,
	CommandContainerRun, CommandContainerStop, CommandContainerStart, CommandContainerPause,
	CommandContainerResume, CommandContainerRestart, CommandContainerRemove,
}

// DeploymentRequested is the data of a deployment.requested command.
type DeploymentRequested struct {
	// Document is an Infrastructure or a Template: an object, or a string that
	// holds its YAML or JSON text, so that faults name the lines of the file.
	Document json.RawMessage `json:"document"`
	// Parameters are the values for a Template.
	Parameters map[string]any `json:"parameters,omitempty"`
	// Plan, when set, is the only plan that may be run: the command is rejected when
	// reality or the revision has moved since it was made.
	Plan *PlanReference `json:"plan,omitempty"`
	// Targets names the resources to deploy, with what they need; empty means all. What
	// is left out stays as it is, and the revision is no target of a rollback then.
	Targets []string `json:"targets,omitempty"`
	// Supersede cancels the deployment that runs, which otherwise comes to its end first.
	Supersede bool `json:"supersede,omitempty"`
}

// PlanReference names a plan that somebody has seen.
type PlanReference struct {
	// Revision is the newest revision when the plan was made, 0 for none.
	Revision int `json:"revision"`
	// Fingerprint is the SHA-256 of the plan's operations, in hexadecimal.
	Fingerprint string `json:"fingerprint"`
}

// DestroyRequested is the data of a destroy.requested command.
type DestroyRequested struct {
	Scope
}

// UnprotectRequested is the data of an unprotect.requested command.
type UnprotectRequested struct {
	Scope
	// Resources are the names of those that may be deleted and replaced again.
	Resources []string `json:"resources"`
	// Reason is free text for those who read the event.
	Reason string `json:"reason,omitempty"`
}

// CancelRequested is the data of a deployment.cancel.requested command.
type CancelRequested struct {
	Scope
	// Reason is free text for those who read the event.
	Reason string `json:"reason,omitempty"`
}

// ResyncRequested is the data of a resync.requested command: the records of the
// Infrastructure are made anew from the status events that are still there and from
// what runs.
type ResyncRequested struct {
	Scope
}

// ApproveRequested is the data of a deployment.approve.requested command.
type ApproveRequested struct {
	Scope
	// Revision is the one whose plan is approved.
	Revision int    `json:"revision"`
	Reason   string `json:"reason,omitempty"`
}

// ResumeRequested is the data of a deployment.resume.requested command.
type ResumeRequested struct {
	Scope
	// Revision is the one whose deployment is paused.
	Revision int      `json:"revision"`
	Decision Decision `json:"decision"`
	Reason   string   `json:"reason,omitempty"`
}

// Decision is how a deployment goes on that has paused.
type Decision string

// The decisions. DecisionApprove answers a plan, the others a failure.
const (
	DecisionApprove Decision = "approve"
	// DecisionRetry plans again and runs what is left to do.
	DecisionRetry Decision = "retry"
	// DecisionSkip goes on as if what failed were done. The revision does not count as
	// stable then.
	DecisionSkip Decision = "skip"
	// DecisionRollback goes back to the last stable revision.
	DecisionRollback Decision = "rollback"
)

// Command is a command that was read and found valid.
type Command struct {
	Type string
	Scope
	// Infrastructure is what to deploy, with its parameters filled in; nil when
	// everything is to be destroyed. Of a container to run, it holds that alone.
	Infrastructure *Infrastructure
	// Container is the policy of a container to run.
	Container *ContainerPolicy
	// Resources are those of an unprotect.requested command; Reason is why something
	// is asked for, where the command says so.
	Resources []string
	Reason    string
	// Decision and Revision are what a paused deployment is told.
	Decision Decision
	Revision int
	// Order is what the rollout of Resource is told.
	Order    RolloutOrder
	Resource string
	// Replicas are how many Resource is to have.
	Replicas int
	// Supersede is that of a deployment.requested command.
	Supersede bool
	document  *Tree
}

// Place returns where a field of the document, such as
// "spec.resources[0].properties.image", stands in the text that declared it.
func (c *Command) Place(path string) Place {
	if c.document == nil {
		return Place{}
	}
	return c.document.Place(path)
}

// Field is the path at which a field of the document stands in that text: inside
// the Template that a resource came out of, where it did.
func (c *Command) Field(path string) string {
	if c.document == nil {
		return path
	}
	return c.document.origin(path)
}

// ShortType is the part of an event type that names noun and verb:
// "deployment.requested" of "io.windlass.deployment.requested.v1". It is empty
// for a type that does not have that form.
func ShortType(eventType string) string {
	short, ok := strings.CutPrefix(eventType, "io.windlass.")
	if !ok {
		return ""
	}
	short, ok = strings.CutSuffix(short, ".v1")
	if !ok {
		return ""
	}
	return short
}

// ParseCommand reads the data of a command of that type. The error is of type
// Faults; paths are those of the document, or of the data where the fault lies
// outside the document.
func ParseCommand(eventType string, data *Tree) (*Command, error) {
	if err := data.check("windlass:command#/$defs/" + ShortType(eventType)); err != nil {
		return nil, err
	}
	switch eventType {
	case CommandDeploymentRequested:
		return parseDeployment(data)
	case CommandDestroyRequested, CommandUnprotectRequested, CommandCancelRequested, CommandApproveRequested, CommandResumeRequested, CommandResyncRequested, CommandScaleRequested,
		CommandRolloutPause, CommandRolloutResume, CommandRolloutPromote, CommandRolloutAbort,
		CommandContainerStop, CommandContainerStart, CommandContainerPause, CommandContainerResume, CommandContainerRestart, CommandContainerRemove:
		return parseOrder(eventType, data)
	case CommandContainerRun:
		return parseContainerRun(data)
	default:
		return nil, fmt.Errorf("command type %q has a schema but no reader", eventType)
	}
}

func parseDeployment(data *Tree) (*Command, error) {
	document, err := documentOf(data)
	if err != nil {
		return nil, err
	}
	values := map[string]any{}
	if parameters, ok := data.Member("parameters"); ok {
		values = parameters.Value.(map[string]any)
	}
	infrastructure, err := document.infrastructure(values)
	if err != nil {
		return nil, err
	}
	if faults := data.unknownTargets(infrastructure); len(faults) > 0 {
		return nil, faults
	}
	supersede, _ := data.Value.(map[string]any)["supersede"].(bool)
	return &Command{Type: CommandDeploymentRequested, Scope: infrastructure.Scope(), Infrastructure: infrastructure, Supersede: supersede, document: document}, nil
}

// unknownTargets refuses targets that the document does not declare.
func (t *Tree) unknownTargets(infrastructure *Infrastructure) Faults {
	targets, _ := t.Value.(map[string]any)["targets"].([]any)
	var faults Faults
	for i, target := range targets {
		if name := target.(string); infrastructure.Resource(name) == nil {
			path := elementPath("targets", i)
			fault := t.Fault(path, fmt.Sprintf("%q is no resource of the document", name))
			fault.Field = "data." + path
			faults = append(faults, fault)
		}
	}
	return faults
}

// parseOrder reads a command without a document. The schema has seen to the types.
func parseOrder(eventType string, data *Tree) (*Command, error) {
	object := data.Value.(map[string]any)
	text := func(name string) string {
		value, _ := object[name].(string)
		return value
	}
	c := &Command{Type: eventType, Scope: Scope{Environment: text("environment"), Infrastructure: cmp.Or(text("infrastructure"), text("container"))}, Reason: text("reason")}
	if c.Decision = Decision(text("decision")); eventType == CommandApproveRequested {
		c.Decision = DecisionApprove
	}
	all, _ := object["all"].(bool)
	c.Resource, c.Order = text("resource"), rolloutOrder(eventType, all)
	if number, ok := object["revision"].(json.Number); ok {
		revision, err := strconv.Atoi(number.String())
		if err != nil {
			return nil, Faults{data.Fault("revision", fmt.Sprintf("%s is no number of a revision", number))}
		}
		c.Revision = revision
	}
	if number, ok := object["replicas"].(json.Number); ok {
		replicas, err := strconv.Atoi(number.String())
		if err != nil {
			return nil, Faults{data.Fault("replicas", fmt.Sprintf("%s is no number of replicas", number))}
		}
		c.Replicas = replicas
	}
	names, _ := object["resources"].([]any)
	for _, name := range names {
		c.Resources = append(c.Resources, name.(string))
	}
	return c, nil
}

// inDocument gives faults that concern a whole text a field.
func inDocument(err error) error {
	var faults Faults
	if !errors.As(err, &faults) {
		return err
	}
	for i := range faults {
		if faults[i].Field == "" {
			faults[i].Field = "data.document"
		}
	}
	return faults
}

// CommandReference is an accepted command as workflows carry it: its identity and
// where its document is stored, never the document itself.
type CommandReference struct {
	Scope
	Type string `json:"type"`
	// Key is the same for every copy of the command.
	Key string `json:"key"`
	// Sequence is the command's place in the stream of commands, which orders
	// commands that arrive out of turn.
	Sequence uint64 `json:"sequence"`
	// Time is when the stream took the command. It tells older from newer also
	// where the stream was made anew and its sequence began again.
	Time        time.Time `json:"time"`
	ID          string    `json:"id"`
	Source      string    `json:"source"`
	TraceParent string    `json:"traceparent,omitempty"`
	// Revision refers to the stored document.
	Revision string `json:"revision"`
	// Decision, Of and Supersede are the command's, of which Of is the revision.
	Decision  Decision `json:"decision,omitempty"`
	Of        int      `json:"of,omitempty"`
	Supersede bool     `json:"supersede,omitempty"`
	// Order is what the rollout of Resource is told.
	Order    RolloutOrder `json:"order,omitempty"`
	Resource string       `json:"resource,omitempty"`
	// Container is the policy of a container to run.
	Container *ContainerPolicy `json:"container,omitempty"`
	// LastRevision is the newest revision number that records knew when the
	// command was accepted; 0 when they knew none.
	LastRevision int `json:"lastRevision,omitempty"`
}
