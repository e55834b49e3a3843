package proxy

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are those of a proxy, for Prometheus.
type metrics struct {
	requests *prometheus.CounterVec
	// connections and bytes are of TCP listeners.
	connections *prometheus.CounterVec
	bytes       *prometheus.CounterVec
	errors      *prometheus.CounterVec
	latency     *prometheus.HistogramVec
	inFlight    *prometheus.GaugeVec
	ejections   *prometheus.CounterVec
	retries     *prometheus.CounterVec
	refusals    *prometheus.CounterVec
	version     prometheus.Gauge
}

// breakerGauge describes what is read when metrics are asked for.
var breakerGauge = prometheus.NewDesc("windlass_proxy_breaker_state", "What the breaker of an endpoint does: 0 closed, 1 half-open, 2 open.", []string{"service", "endpoint"}, nil)

// availableGauge is 0 for an endpoint that gets nothing, whatever the reason.
var availableGauge = prometheus.NewDesc("windlass_proxy_available", "Whether an endpoint gets requests: 1, or 0 when it is unhealthy, ejected, draining or broken.", []string{"service", "endpoint"}, nil)

var breakerValues = map[breakerState]float64{breakerClosed: 0, breakerHalfOpen: 1, breakerOpen: 2}

// Describe implements prometheus.Collector.
func (p *Proxy) Describe(descriptions chan<- *prometheus.Desc) {
	descriptions <- breakerGauge
	descriptions <- availableGauge
}

// Collect implements prometheus.Collector.
func (p *Proxy) Collect(collected chan<- prometheus.Metric) {
	for _, s := range p.Status().Services {
		told := map[string]bool{} // one that left may be back under the same name
		for _, e := range s.Endpoints {
			if told[e.ID] {
				continue
			}
			told[e.ID] = true
			available := 0.0
			if e.State == StateReady && e.Breaker == string(breakerClosed) {
				available = 1
			}
			collected <- prometheus.MustNewConstMetric(breakerGauge, prometheus.GaugeValue, breakerValues[breakerState(e.Breaker)], s.Name, e.ID)
			collected <- prometheus.MustNewConstMetric(availableGauge, prometheus.GaugeValue, available, s.Name, e.ID)
		}
	}
}

// latencyBuckets are in seconds, from half a millisecond to a minute.
var latencyBuckets = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}

func newMetrics() *metrics {
	labels := []string{"service", "endpoint"}
	counter := func(name, help string, more ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "windlass", Subsystem: "proxy", Name: name, Help: help}, append(labels[:2:2], more...))
	}
	return &metrics{
		requests:    counter("requests_total", "Requests that an endpoint has answered, by the class of the status.", "code"),
		errors:      counter("errors_total", "Requests that an endpoint has not answered, by kind.", "kind"),
		connections: counter("connections_total", "Connections that were passed through to an endpoint."),
		bytes:       counter("bytes_total", "Bytes that were passed through, to an endpoint (in) and from it (out).", "direction"),
		latency:     prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "windlass", Subsystem: "proxy", Name: "request_seconds", Help: "Time until an answer was passed on whole.", Buckets: latencyBuckets}, labels),
		inFlight:    prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "windlass", Subsystem: "proxy", Name: "in_flight", Help: "Requests that an endpoint works on."}, labels),
		ejections:   counter("ejections_total", "How often an endpoint was taken out because of its faults."),
		retries:     counter("retries_total", "Tries that were repeated after one at this endpoint."),
		refusals:    prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "windlass", Subsystem: "proxy", Name: "refusals_total", Help: "Requests that the proxy has answered itself, by kind."}, []string{"listener", "kind"}),
		version:     prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "windlass", Subsystem: "proxy", Name: "configuration_version", Help: "Version of the configuration that runs."}),
	}
}

func (m *metrics) register(r prometheus.Registerer) {
	r.MustRegister(m.requests, m.connections, m.bytes, m.errors, m.latency, m.inFlight, m.ejections, m.retries, m.refusals, m.version)
}

// endpointMetrics are the metrics of one endpoint, so that no request looks them up.
type endpointMetrics struct {
	codes     [6]prometheus.Counter
	errors    map[kind]prometheus.Counter
	latency   prometheus.Observer
	inFlight  prometheus.Gauge
	ejections prometheus.Counter
	retries   prometheus.Counter
	// connections, in and out are of endpoints that get connections.
	connections, in, out prometheus.Counter
}

func (m *metrics) of(service, endpoint string) *endpointMetrics {
	e := &endpointMetrics{
		latency: m.latency.WithLabelValues(service, endpoint), inFlight: m.inFlight.WithLabelValues(service, endpoint),
		ejections: m.ejections.WithLabelValues(service, endpoint), retries: m.retries.WithLabelValues(service, endpoint),
		errors: map[kind]prometheus.Counter{},
	}
	e.connections = m.connections.WithLabelValues(service, endpoint)
	e.in, e.out = m.bytes.WithLabelValues(service, endpoint, "in"), m.bytes.WithLabelValues(service, endpoint, "out")
	for class := range e.codes {
		if class > 0 {
			e.codes[class] = m.requests.WithLabelValues(service, endpoint, strconv.Itoa(class)+"xx")
		}
	}
	for _, k := range []kind{noUpstream, circuitOpen, timedOut, network, limited, tooLarge, malformed, tooSlow, clientGone} {
		e.errors[k] = m.errors.WithLabelValues(service, endpoint, string(k))
	}
	return e
}

func (e *endpointMetrics) observe(status int, took time.Duration) {
	if class := status / 100; class > 0 && class < len(e.codes) {
		e.codes[class].Inc()
	}
	e.latency.Observe(took.Seconds())
}

// forget drops the metrics of an endpoint that is gone.
func (m *metrics) forget(service, endpoint string) {
	labels := prometheus.Labels{"service": service, "endpoint": endpoint}
	m.requests.DeletePartialMatch(labels)
	m.connections.DeletePartialMatch(labels)
	m.bytes.DeletePartialMatch(labels)
	m.errors.DeletePartialMatch(labels)
	m.latency.DeletePartialMatch(labels)
	m.inFlight.DeletePartialMatch(labels)
	m.ejections.DeletePartialMatch(labels)
	m.retries.DeletePartialMatch(labels)
}
