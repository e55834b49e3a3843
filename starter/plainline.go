package starter

import (
	"fmt"
	"strings"
	"time"

	"windlass/schemas"
)

// plainLine tells an event in one line: time, Infrastructure, what moved, its
// state and why.
func plainLine(e schemas.Event) string {
	words := []string{e.Time.UTC().Format(time.RFC3339)}
	state := eventState(e.Type)
	switch {
	case e.Resource != nil:
		words = append(words, e.Resource.Scope.String(), e.Resource.Resource, state+detail(resourceDetail(*e.Resource)))
	case e.Deployment != nil:
		words = append(words, e.Deployment.Scope.String(), "deployment", state+detail(deploymentDetail(e)))
	case e.Rollout != nil:
		words = append(words, e.Rollout.Scope.String(), e.Rollout.Resource, "rollout "+state+detail(rolloutWords(*e.Rollout)))
	case e.Container != nil:
		words = append(words, e.Container.Scope().String(), "container", state+detail(containerDetail(*e.Container)))
	case e.Command != nil:
		words = append(words, e.Command.Scope.String(), "command", state+detail(commandDetail(*e.Command)))
	}
	return printable(strings.Join(words, " "))
}

// eventState is the last word of an event's type.
func eventState(eventType string) string {
	short := schemas.ShortType(eventType)
	return short[strings.LastIndexByte(short, '.')+1:]
}

func detail(text string) string {
	if text == "" {
		return ""
	}
	return ": " + text
}

func resourceDetail(r schemas.ResourceStatus) string {
	if r.Error != nil {
		return failureSentence(*r.Error)
	}
	return r.Cause
}

func commandDetail(c schemas.CommandStatus) string {
	if len(c.Faults) > 0 {
		reasons := make([]string, len(c.Faults))
		for n, fault := range c.Faults {
			reasons[n] = fault.String()
		}
		return strings.Join(reasons, "; ")
	}
	if c.SupersededBy != "" {
		return "by the newer command " + c.SupersededBy
	}
	if c.Revision > 0 {
		return revisionWords(c.Revision)
	}
	return ""
}

func deploymentDetail(e schemas.Event) string {
	d := e.Deployment
	parts := []string{revisionWords(d.Revision)}
	if d.Destroy {
		parts = []string{"destroy"}
	}
	if e.Type == schemas.StatusDeploymentPlanned {
		parts = append(parts, planWords(*d))
	}
	if len(d.Decisions) > 0 {
		parts = append(parts, "waits for: "+decisionCommands(d.Scope, d.Revision, d.Decisions))
	}
	if d.Decision != "" {
		parts = append(parts, fmt.Sprintf("%s, by %s", d.Decision, d.By))
	}
	if d.Partial {
		parts = append(parts, "the targets alone")
	}
	if len(d.Skipped) > 0 {
		parts = append(parts, "without "+strings.Join(d.Skipped, ", "))
	}
	if d.RollbackTo != nil {
		parts = append(parts, "back to "+revisionWords(*d.RollbackTo))
	}
	if d.Error != nil {
		about := failureSentence(*d.Error)
		if d.Error.Resource != "" {
			about = d.Error.Resource + ": " + about
		}
		parts = append(parts, about)
	}
	return strings.Join(parts, ", ")
}

// planWords counts the operations of a plan.
func planWords(d schemas.DeploymentStatus) string {
	if d.Summary != "" {
		return d.Summary
	}
	counts := map[schemas.Action]int{schemas.ActionNone: d.Unchanged}
	for _, o := range d.Operations {
		counts[o.Action]++
	}
	var parts []string
	for _, p := range []struct {
		action schemas.Action
		words  string
	}{
		{schemas.ActionCreate, "to create"}, {schemas.ActionUpdate, "to update"}, {schemas.ActionReplace, "to replace"},
		{schemas.ActionDelete, "to delete"}, {schemas.ActionNone, "unchanged"},
	} {
		if n := counts[p.action]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, p.words))
		}
	}
	if len(parts) == 0 {
		return "nothing to do"
	}
	return strings.Join(parts, ", ")
}
