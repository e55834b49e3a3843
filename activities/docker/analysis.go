package docker

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"

	"windlass/activities"
	"windlass/activities/docker/promquery"
	"windlass/plan"
	"windlass/schemas"
)

// AnalyseReplicas implements activities.ReplicaProvider.
func (p *Provider) AnalyseReplicas(ctx context.Context, declared plan.Desired, analysis schemas.Analysis, secrets activities.Secrets, progress activities.Progress) error {
	say, stop := activities.Narrate(progress)
	defer stop()
	w, err := p.version(ctx, declared, secrets)
	if err != nil {
		return err
	}
	m := &measurement{provider: p, workload: w, analysis: analysis, secrets: secrets, samples: promquery.New()}
	if err := m.begin(ctx); err != nil {
		return err
	}
	failures := 0
	for n := 1; n <= analysis.Count; n++ {
		say(fmt.Sprintf("measurement %d of %d, %d failed", n, analysis.Count, failures))
		if err := m.wait(ctx, time.Duration(*analysis.Interval)); err != nil {
			return err
		}
		trouble, err := m.take(ctx)
		if err != nil {
			return err
		}
		if trouble == "" {
			continue
		}
		failures++
		if failures > analysis.FailureLimit {
			return &activities.Fault{Kind: activities.Unhealthy, Resource: declared.Resource, Field: "properties.strategy.steps",
				Message: fmt.Sprintf("the analysis of the new version failed: %s (measurement %d of %d)", secrets.Redact(trouble), n, analysis.Count),
				Hint:    "see what the new version does differently, or change the bounds of the analysis"}
		}
	}
	return nil
}

// measurement measures the replicas of one version.
type measurement struct {
	provider *Provider
	workload *workload
	analysis schemas.Analysis
	secrets  activities.Secrets
	// last is what the proxies had counted when they were asked before.
	last tally
	// samples are what the proxies told since the analysis began, for queries.
	samples *promquery.Samples
}

// begin takes what the proxies have counted before.
func (m *measurement) begin(ctx context.Context) (err error) {
	switch {
	case m.analysis.Metrics != nil:
		m.last, err = m.provider.tally(ctx, m.workload.desired)
	case m.analysis.PromQL != nil:
		err = m.sample(ctx)
	}
	return err
}

// sampleInterval is how often the proxies are asked for what queries are about.
const sampleInterval = time.Second

// wait lets the time until the next measurement pass, and samples meanwhile.
func (m *measurement) wait(ctx context.Context, interval time.Duration) error {
	for left := interval; left > 0; {
		step := left
		if m.analysis.PromQL != nil {
			step = min(left, sampleInterval)
		}
		if err := pause(ctx, step, m.workload.desired.Resource+": measuring the new version"); err != nil {
			return err
		}
		left -= step
		if m.analysis.PromQL != nil {
			if err := m.sample(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// take measures once and says in words what is not well; empty is nothing.
func (m *measurement) take(ctx context.Context) (string, error) {
	if m.analysis.Metrics != nil {
		return m.takeMetrics(ctx, *m.analysis.Metrics)
	}
	if m.analysis.PromQL != nil {
		return m.query(ctx, *m.analysis.PromQL)
	}
	d := m.workload.desired
	containers, err := m.provider.listContainers(ctx, d.Resource, activities.IdentityLabels(d.Target))
	if err != nil {
		return "", err
	}
	_, containers = separateAside(containers)
	_, containers = separateSteps(containers)
	for _, c := range containers {
		if c.Labels[activities.LabelSpec] != d.SpecHash || !c.running() {
			continue
		}
		if trouble, err := m.takeReplica(ctx, c); trouble != "" || err != nil {
			return trouble, err
		}
	}
	return "", nil
}

// measureTimeout bounds one measurement of one replica.
const measureTimeout = 30 * time.Second

func (m *measurement) takeReplica(ctx context.Context, c listed) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, measureTimeout)
	defer cancel()
	if e := m.analysis.Exec; e != nil {
		command, err := revealAll(m.secrets, e.Command)
		if err != nil {
			return "", err
		}
		code, output, trouble, err := m.provider.run(ctx, c.ID, command, nil)
		if err != nil {
			return fmt.Sprintf("replica %d: %v", c.index(), err), nil
		}
		if code != 0 {
			return strings.TrimRight(fmt.Sprintf("replica %d: the command exited with %d: %s", c.index(), code, cut(oneLine(output+" "+trouble), maxAnswer)), ": "), nil
		}
		return "", nil
	}
	full, err := m.provider.inspect(ctx, m.workload.desired.Resource, c.ID)
	if err != nil || full == nil {
		return "", err
	}
	return m.ask(ctx, c.index(), full)
}

// ask asks a replica over HTTP.
func (m *measurement) ask(ctx context.Context, index int, c *container.InspectResponse) (string, error) {
	h := m.analysis.HTTP
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(address(c, m.workload.networks), strconv.Itoa(h.Port))+h.Path, nil)
	if err != nil {
		return "", &activities.Fault{Kind: activities.Invalid, Resource: m.workload.desired.Resource, Field: "properties.strategy.steps", Message: err.Error(), Err: err}
	}
	request.Header.Set("User-Agent", "windlass-analysis")
	response, err := probeClient.Do(request)
	if err != nil {
		return fmt.Sprintf("replica %d: GET %s: %s", index, h.Path, connectionTrouble(err)), nil
	}
	response.Body.Close()
	well := response.StatusCode == h.Status || h.Status == 0 && response.StatusCode >= 200 && response.StatusCode < 400
	if !well {
		return fmt.Sprintf("replica %d: GET %s: %s", index, h.Path, response.Status), nil
	}
	return "", nil
}
