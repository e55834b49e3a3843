package docker

import (
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"windlass/activities"
	"windlass/plan"
	"windlass/schemas"
)

// tally is what the proxies of a Compute have counted for the replicas of one version.
type tally struct {
	// requests were answered or failed; errors are those answered with 5xx or not at all.
	requests, errors float64
	// buckets count the requests that took at most so many seconds, by that bound.
	buckets map[float64]float64
}

// maxMetrics bounds what is read of a proxy's metrics, in bytes.
const maxMetrics = 16 << 20

// tally asks every proxy in front of the Compute.
func (p *Provider) tally(ctx context.Context, d plan.Desired) (tally, error) {
	total := tally{buckets: map[float64]float64{}}
	return total, p.eachProxy(ctx, d, func(_ string, families map[string]*dto.MetricFamily) { total.add(families, versionSuffix(d)) })
}

// eachProxy hands on what every proxy in front of the Compute tells.
func (p *Provider) eachProxy(ctx context.Context, d plan.Desired, take func(proxy string, families map[string]*dto.MetricFamily)) error {
	labels := p.scopeLabels(d.Scope)
	labels[activities.LabelTarget] = d.Resource
	containers, err := p.listContainers(ctx, d.Resource, labels)
	if err != nil {
		return err
	}
	for _, c := range containers {
		if !c.running() {
			continue
		}
		families, err := p.proxyMetrics(ctx, c)
		if err != nil {
			return &activities.Fault{Kind: activities.Unavailable, Resource: d.Resource,
				Message: fmt.Sprintf("%s does not tell its metrics: %v", c.name(), err), Hint: "see the log of the container", Err: err}
		}
		take(c.name(), families)
	}
	return nil
}

func (p *Provider) proxyMetrics(ctx context.Context, c listed) (map[string]*dto.MetricFamily, error) {
	full, err := p.inspect(ctx, c.Labels[activities.LabelResource], c.ID)
	if err != nil || full == nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, measureTimeout)
	defer cancel()
	place := net.JoinHostPort(address(full, separated(c.Labels[activities.LabelNetworks])), strconv.Itoa(schemas.ProxyMetricsPort))
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+place+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	response, err := probeClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var parser expfmt.TextParser
	return parser.TextToMetricFamilies(io.LimitReader(response.Body, maxMetrics))
}

// add counts what is about endpoints whose names end so.
func (t *tally) add(families map[string]*dto.MetricFamily, suffix string) {
	of := func(family string, count func(*dto.Metric)) {
		for _, m := range families["windlass_proxy_"+family].GetMetric() {
			if strings.HasSuffix(label(m, "endpoint"), suffix) {
				count(m)
			}
		}
	}
	of("requests_total", func(m *dto.Metric) {
		t.requests += m.GetCounter().GetValue()
		if label(m, "code") == "5xx" {
			t.errors += m.GetCounter().GetValue()
		}
	})
	of("errors_total", func(m *dto.Metric) {
		if label(m, "kind") != "client-gone" {
			t.requests += m.GetCounter().GetValue()
			t.errors += m.GetCounter().GetValue()
		}
	})
	of("request_seconds", func(m *dto.Metric) {
		for _, b := range m.GetHistogram().GetBucket() {
			t.buckets[b.GetUpperBound()] += float64(b.GetCumulativeCount())
		}
		if h := m.GetHistogram(); len(h.GetBucket()) == 0 || !math.IsInf(h.GetBucket()[len(h.GetBucket())-1].GetUpperBound(), 1) {
			t.buckets[math.Inf(1)] += float64(h.GetSampleCount())
		}
	})
}

func label(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

// since is what was counted after an earlier tally. A proxy that was made anew
// meanwhile has forgotten what it had counted.
func (t tally) since(before tally) tally {
	d := tally{requests: max(0, t.requests-before.requests), errors: max(0, t.errors-before.errors), buckets: map[float64]float64{}}
	for bound, n := range t.buckets {
		d.buckets[bound] = max(0, n-before.buckets[bound])
	}
	return d
}

// quantile estimates how long that share of the requests took at most, in a straight
// line within the bucket that it falls into, as Prometheus' histogram_quantile does.
func (t tally) quantile(q float64) time.Duration {
	bounds := make([]float64, 0, len(t.buckets))
	for bound := range t.buckets {
		bounds = append(bounds, bound)
	}
	slices.Sort(bounds)
	if len(bounds) == 0 {
		return 0
	}
	rank := q * t.buckets[bounds[len(bounds)-1]]
	below, lower := 0.0, 0.0
	for _, bound := range bounds {
		n := t.buckets[bound]
		if n >= rank && n > below {
			if math.IsInf(bound, 1) {
				return seconds(lower)
			}
			return seconds(lower + (bound-lower)*(rank-below)/(n-below))
		}
		below, lower = n, bound
	}
	return seconds(lower)
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
