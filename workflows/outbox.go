package workflows

import (
	"fmt"

	"github.com/google/uuid"
	"go.temporal.io/sdk/workflow"

	"windlass/activities"
	"windlass/schemas"
)

// A publish activity's input has to stay far below the payload limit of 2 MB. An
// event has some 500 bytes, and one with evidence up to 15 KB, as much as
// evidenceWeight others.
const (
	publishBatch   = 400
	evidenceWeight = 30
)

// fitting is how many of the events make one batch.
func fitting(pending []schemas.Event) int {
	weight := 0
	for n, e := range pending {
		weight++
		if e.Resource != nil && e.Resource.Error != nil || e.Deployment != nil || e.Rollout != nil || e.Container != nil {
			weight += evidenceWeight
		}
		if n > 0 && weight > publishBatch {
			return n
		}
	}
	return len(pending)
}

// outbox publishes the events of one run in order. Workflow code never waits for
// the bus, except that a run does not end before flush returned.
type outbox struct {
	pending    []schemas.Event
	publishing bool
	identity   string
}

// newOutbox starts the coroutine that drains the outbox. It goes on when the run
// is cancelled.
func newOutbox(ctx workflow.Context) *outbox {
	// The first run of a chain of resets names the events, so that a replay or a
	// reset repeats an event under its id while a new run never does.
	o := &outbox{identity: workflow.GetInfo(ctx).OriginalRunID}
	detached, _ := workflow.NewDisconnectedContext(ctx)
	workflow.GoNamed(detached, "outbox", o.drain)
	return o
}

func (o *outbox) drain(ctx workflow.Context) {
	for {
		if err := workflow.Await(ctx, func() bool { return len(o.pending) > 0 }); err != nil {
			return
		}
		n := fitting(o.pending)
		batch := o.pending[:n:n]
		o.pending = o.pending[n:]
		o.publishing = true
		options := publishOptions(ctx, summarize(batch))
		err := workflow.ExecuteActivity(options, activities.NamePublish, activities.PublishInput{Events: batch}).Get(ctx, nil)
		if err != nil { // the retries have no limit, so nobody can publish these
			workflow.GetLogger(ctx).Error("status events are lost", "error", err, "events", len(batch))
		}
		o.publishing = false
	}
}

func summarize(batch []schemas.Event) string {
	if len(batch) == 1 {
		return schemas.ShortType(batch[0].Type) + " " + batch[0].Subject
	}
	return fmt.Sprintf("%d status events", len(batch))
}

// add takes an event whose type, source, sequence and data are set.
func (o *outbox) add(ctx workflow.Context, e schemas.Event) {
	e.Time = workflow.Now(ctx)
	e.ID = uuid.NewSHA1(uuid.NameSpaceURL, []byte(o.identity+" "+e.Source+" "+e.Sequence)).String()
	o.pending = append(o.pending, e)
}

// flush waits until every event is out, also when the run is cancelled.
func (o *outbox) flush(ctx workflow.Context) {
	detached, _ := workflow.NewDisconnectedContext(ctx)
	_ = workflow.Await(detached, func() bool { return len(o.pending) == 0 && !o.publishing })
}
