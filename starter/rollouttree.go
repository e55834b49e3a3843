package starter

import (
	"fmt"
	"time"

	"windlass/schemas"
)

// rolloutLines draws a rollout as a tree: the versions, and the replicas of each.
func rolloutLines(r schemas.RolloutRecord, now time.Time) []line {
	phase := string(r.Phase)
	if r.Paused {
		phase = "Paused"
	}
	head := line{
		{r.Resource, bold}, {fmt.Sprintf("  %s to %s  ", r.Strategy, revisionWords(r.Revision)), plain},
		{phase, phaseColour(r.Phase, r.Paused)},
	}
	if r.Phase.Final() {
		head = append(head, span{fmt.Sprintf("  in %s, %s ago", elapsed(r.Since.Sub(r.Started)), age(r.Since, now)), dim})
	} else {
		head = append(head, span{"  for " + elapsed(now.Sub(r.Started)), dim})
	}
	lines := []line{head, {{"  " + printable(r.Message), plain}}}
	if r.Steps > 0 {
		step := fmt.Sprintf("  step %d of %d", min(r.Step+1, r.Steps), r.Steps)
		if r.Weight != nil {
			step += fmt.Sprintf(", %d%% of the requests go to the new version", *r.Weight)
		}
		lines = append(lines, line{{step, plain}})
	}
	if !r.Deadline.IsZero() && !r.Phase.Final() && !r.Paused {
		lines = append(lines, line{{"  fails in " + elapsed(r.Deadline.Sub(now)) + " unless a replica becomes available", dim}})
	}
	if r.Error != nil {
		lines = append(lines, line{{"  " + failureSentence(*r.Error), red}})
	}
	for i, set := range r.Sets {
		branch, stem := "├─ ", "│  "
		if i == len(r.Sets)-1 {
			branch, stem = "└─ ", "   "
		}
		lines = append(lines, line{
			{branch, dim}, {pad(set.Role, 6), bold}, {"  " + set.Version, cyan},
			{fmt.Sprintf("  %s  %s  %d declared, %d there, %d available, %d serving", revisionWords(set.Revision), printable(set.Image), set.Declared, set.There, set.Available, set.Serving), plain},
		})
		for n, replica := range set.Replicas {
			twig := "├─ "
			if n == len(set.Replicas)-1 {
				twig = "└─ "
			}
			symbol, paint := replicaSymbol(replica.State, now)
			lines = append(lines, line{{stem + twig, dim}, {symbol, paint}, {fmt.Sprintf(" replica %d  %s", replica.Index, replica.State), plain}})
		}
	}
	return lines
}

func phaseColour(p schemas.RolloutPhase, paused bool) colour {
	switch {
	case p == schemas.RolloutSucceeded:
		return green
	case p == schemas.RolloutFailed:
		return red
	case paused || p == schemas.RolloutRolledBack || p == schemas.RolloutRollingBack || p == schemas.RolloutCancelled:
		return yellow
	default:
		return cyan
	}
}

func replicaSymbol(state string, now time.Time) (string, colour) {
	switch state {
	case "serving":
		return "✔", green
	case "available", "present":
		return "○", dim
	case "failed", "set aside":
		return "✘", red
	case "draining", "leaving", "removing":
		return "−", dim
	default:
		return spin(now), cyan
	}
}
