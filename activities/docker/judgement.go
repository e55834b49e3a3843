package docker

import (
	"context"
	"fmt"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"

	"windlass/activities"
	"windlass/schemas"
)

// takeMetrics judges what the proxies have counted since the measurement before.
func (m *measurement) takeMetrics(ctx context.Context, bounds schemas.MetricsAnalysis) (string, error) {
	now, err := m.provider.tally(ctx, m.workload.desired)
	if err != nil {
		return "", err
	}
	counted := now.since(m.last)
	m.last = now
	return counted.judge(bounds), nil
}

// judge says in words which bound does not hold; empty is none.
func (t tally) judge(bounds schemas.MetricsAnalysis) string {
	if t.requests < float64(*bounds.MinRequests) {
		return fmt.Sprintf("the new version got %.0f requests, of which %d are needed to judge it", t.requests, *bounds.MinRequests)
	}
	if most := bounds.MaxErrorRatio; most != nil && t.requests > 0 && t.errors/t.requests > *most {
		return fmt.Sprintf("%.1f%% of %.0f requests failed, at most %.1f%% may", 100*t.errors/t.requests, t.requests, 100**most)
	}
	if most := bounds.MaxLatency; most != nil {
		if took := t.quantile(bounds.Quantile); took > time.Duration(*most) {
			return fmt.Sprintf("the %g quantile of the latency is %s, at most %s is accepted", bounds.Quantile, took.Round(100*time.Microsecond), time.Duration(*most))
		}
	}
	return ""
}

// sample keeps what the proxies tell now.
func (m *measurement) sample(ctx context.Context) error {
	now, suffix := time.Now(), versionSuffix(m.workload.desired)
	return m.provider.eachProxy(ctx, m.workload.desired, func(proxy string, families map[string]*dto.MetricFamily) {
		m.samples.Add(now, families, func(metric *dto.Metric) map[string]string {
			more := map[string]string{"proxy": proxy}
			if endpoint := label(metric, "endpoint"); strings.HasSuffix(endpoint, suffix) {
				more["version"] = newVersion
			} else if endpoint != "" {
				more["version"] = oldVersion
			}
			return more
		})
	})
}

// query judges what a query over the samples comes to.
func (m *measurement) query(ctx context.Context, bounds schemas.PromQLAnalysis) (string, error) {
	value, ok, err := m.samples.Query(ctx, bounds.Query, time.Now())
	switch {
	case err != nil:
		return "", &activities.Fault{Kind: activities.Invalid, Resource: m.workload.desired.Resource, Field: "properties.strategy.steps", Message: "the analysis cannot be made: " + err.Error(), Err: err}
	case !ok:
		return fmt.Sprintf("%s has no value", bounds.Query), nil
	case bounds.Max != nil && value > *bounds.Max:
		return fmt.Sprintf("%s is %.6g, at most %g is accepted", bounds.Query, value, *bounds.Max), nil
	case bounds.Min != nil && value < *bounds.Min:
		return fmt.Sprintf("%s is %.6g, at least %g is accepted", bounds.Query, value, *bounds.Min), nil
	}
	return "", nil
}
