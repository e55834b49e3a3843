// Package promquery keeps what programs tell as Prometheus metrics for a while, and
// answers PromQL queries over it.
package promquery

import (
	"context"
	"math"
	"slices"
	"strconv"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

// Samples are the metrics of one or more programs over time. It is not safe for
// concurrent use.
type Samples struct{ series map[uint64]*series }

type series struct {
	labels  labels.Labels
	samples []chunks.Sample
}

// New returns no samples.
func New() *Samples { return &Samples{series: map[uint64]*series{}} }

// Add takes in what a program tells at a time. Add only later ones for the same program.
// The labels go on every series that they are returned for; nil leaves one out.
func (s *Samples) Add(at time.Time, families map[string]*dto.MetricFamily, more func(*dto.Metric) map[string]string) {
	for name, family := range families {
		for _, m := range family.GetMetric() {
			if extra := more(m); extra != nil {
				s.metric(at, name, m, extra)
			}
		}
	}
}

func (s *Samples) metric(at time.Time, name string, m *dto.Metric, extra map[string]string) {
	add := func(name string, value float64, pair ...string) {
		b := labels.NewBuilder(labels.EmptyLabels())
		b.Set(labels.MetricName, name)
		for _, l := range m.GetLabel() {
			b.Set(l.GetName(), l.GetValue())
		}
		for key, value := range extra {
			b.Set(key, value)
		}
		if len(pair) == 2 {
			b.Set(pair[0], pair[1])
		}
		s.sample(b.Labels(), at, value)
	}
	switch {
	case m.Counter != nil:
		add(name, m.Counter.GetValue())
	case m.Gauge != nil:
		add(name, m.Gauge.GetValue())
	case m.Untyped != nil:
		add(name, m.Untyped.GetValue())
	case m.Histogram != nil:
		h := m.Histogram
		infinite := false
		for _, bucket := range h.GetBucket() {
			infinite = infinite || math.IsInf(bucket.GetUpperBound(), 1)
			add(name+"_bucket", float64(bucket.GetCumulativeCount()), labels.BucketLabel, strconv.FormatFloat(bucket.GetUpperBound(), 'g', -1, 64))
		}
		if !infinite {
			add(name+"_bucket", float64(h.GetSampleCount()), labels.BucketLabel, "+Inf")
		}
		add(name+"_sum", h.GetSampleSum())
		add(name+"_count", float64(h.GetSampleCount()))
	}
}

func (s *Samples) sample(l labels.Labels, at time.Time, value float64) {
	key := l.Hash()
	if s.series[key] == nil {
		s.series[key] = &series{labels: l}
	}
	s.series[key].samples = append(s.series[key].samples, sample{at.UnixMilli(), value})
}

// sample implements chunks.Sample.
type sample struct {
	at    int64
	value float64
}

func (s sample) T() int64                      { return s.at }
func (s sample) F() float64                    { return s.value }
func (s sample) H() *histogram.Histogram       { return nil }
func (s sample) FH() *histogram.FloatHistogram { return nil }
func (s sample) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (s sample) Copy() chunks.Sample           { return s }

// Querier implements storage.Queryable.
func (s *Samples) Querier(from, to int64) (storage.Querier, error) { return querier{s, from, to}, nil }

type querier struct {
	samples  *Samples
	from, to int64
}

// Select implements storage.Querier.
func (q querier) Select(_ context.Context, _ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	var found []storage.Series
	for _, one := range q.samples.series {
		if slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return !m.Matches(one.labels.Get(m.Name)) }) {
			continue
		}
		var within []chunks.Sample
		for _, sample := range one.samples {
			if sample.T() >= q.from && sample.T() <= q.to {
				within = append(within, sample)
			}
		}
		if len(within) > 0 {
			found = append(found, storage.NewListSeries(one.labels, within))
		}
	}
	slices.SortFunc(found, func(a, b storage.Series) int { return labels.Compare(a.Labels(), b.Labels()) })
	return &set{found: found, at: -1}
}

// LabelValues and LabelNames implement storage.Querier; a query needs neither.
func (q querier) LabelValues(context.Context, string, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

func (q querier) LabelNames(context.Context, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

// Close implements storage.Querier.
func (q querier) Close() error { return nil }

// set implements storage.SeriesSet.
type set struct {
	found []storage.Series
	at    int
}

func (s *set) Next() bool                        { s.at++; return s.at < len(s.found) }
func (s *set) At() storage.Series                { return s.found[s.at] }
func (s *set) Err() error                        { return nil }
func (s *set) Warnings() annotations.Annotations { return nil }
