package workflows

import (
	"fmt"
	"strings"

	"go.temporal.io/sdk/workflow"

	"windlass/activities"
	"windlass/schemas"
)

// maxLines bounds the resources that a board lists: the web UI shows at most
// 20,000 bytes.
const maxLines = 100

// board keeps the words that the web UI shows of a deployment: what is happening,
// and a line for each resource that moves.
type board struct {
	title  string
	phase  string
	lines  []string
	states map[string]string
	// shown are the operations that have a line.
	shown map[string]bool
}

func newBoard(in DeployInput) *board {
	title := fmt.Sprintf("Revision %d of %s", in.Revision.Number, in.Command.Scope)
	if in.Destroy {
		title = fmt.Sprintf("Destroying %s (revision %d)", in.Command.Scope, in.Revision.Number)
	}
	return &board{title: title, phase: "starting", states: map[string]string{}}
}

func (b *board) status(ctx workflow.Context, status string) {
	b.title, _, _ = strings.Cut(b.title, ": ")
	b.title += ": " + status
	b.write(ctx)
}

func (b *board) doing(ctx workflow.Context, phase string) {
	b.phase = phase
	b.write(ctx)
}

// show lists the operations of a plan as waiting.
func (b *board) show(plan activities.PlanOutput) {
	b.lines, b.shown = nil, map[string]bool{}
	for _, o := range plan.Operations {
		if !o.Action.Moves() {
			continue
		}
		b.lines = append(b.lines, o.ID)
		if len(b.lines) > maxLines {
			continue
		}
		b.shown[o.ID] = true
		b.states[o.ID] = "waits"
		if len(o.DependsOn) > 0 {
			b.states[o.ID] = "waits for " + strings.Join(o.DependsOn, ", ")
		}
	}
}

func (b *board) began(ctx workflow.Context, o schemas.Operation) {
	if !b.shown[o.ID] {
		return
	}
	b.states[o.ID] = "runs since " + workflow.Now(ctx).UTC().Format("15:04:05") + " UTC, since " + o.Why()
	b.write(ctx)
}

func (b *board) ended(ctx workflow.Context, o schemas.Operation, err error) {
	if !b.shown[o.ID] {
		return
	}
	b.states[o.ID] = "done"
	if err != nil {
		b.states[o.ID] = "failed: " + activities.FailureOf(err).Message
	}
	b.write(ctx)
}

func (b *board) write(ctx workflow.Context) {
	text := "**" + b.title + "**\n\n" + b.phase + "\n"
	for i, id := range b.lines {
		if i == maxLines {
			text += fmt.Sprintf("\n- and %d more", len(b.lines)-maxLines)
			break
		}
		text += fmt.Sprintf("\n- %s: %.150s", id, b.states[id])
	}
	workflow.SetCurrentDetails(ctx, text)
}
