package traffic

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const good = `{"version": 1, "listeners": [{"name": "web", "port": 8080, "service": "users"}], "services": [{"name": "users", "endpoints": [{"id": "a", "address": "a:80"}]}]}`

func TestAConfigurationIsReadAsItIsWritten(t *testing.T) {
	c, err := ParseConfiguration([]byte(good))
	require.NoError(t, err)
	require.Equal(t, ":8080", c.Listeners[0].Endpoint())
	require.Empty(t, c.Services[0].Policy.LoadBalancer, "defaults are left to whoever runs it")
	d := c.WithDefaults()
	require.Equal(t, RoundRobin, d.Services[0].Policy.LoadBalancer)
	require.Equal(t, HTTP, d.Listeners[0].Protocol)
	require.Equal(t, 1, d.Services[0].Endpoints[0].Weight)
	require.Empty(t, c.Listeners[0].Protocol, "the original is left alone")
	require.Zero(t, c.Services[0].Endpoints[0].Weight)
}

func TestAFaultNamesItsField(t *testing.T) {
	tests := map[string]struct{ from, to, field, reason string }{
		"no version":             {`"version": 1`, `"version": 0`, "version", "is 0"},
		"a port that is none":    {"8080", "70000", "listeners[0].port", "is 70000; a port from 1 to 65535 is expected"},
		"an unknown service":     {`"service": "users"`, `"service": "shop"`, "listeners[0].service", `"shop" is no service`},
		"an address without one": {`"a:80"`, `"a"`, "services[0].endpoints[0].address", `"a" is no host:port`},
		"an endpoint twice":      {`{"id": "a", "address": "a:80"}`, `{"id": "a", "address": "a:80"}, {"id": "a", "address": "b:80"}`, "services[0].endpoints[1].id", "is there twice"},
		"a weight":               {`"address": "a:80"`, `"address": "a:80", "weight": 1001`, "services[0].endpoints[0].weight", "is 1001"},
		"an unknown subset":      {`"address": "a:80"`, `"address": "a:80", "subset": "canary"`, "services[0].endpoints[0].subset", `"canary" is no subset`},
		"a protocol":             {`"port": 8080`, `"port": 8080, "protocol": "UDP"`, "listeners[0].protocol", `is "UDP"; HTTP, TCP is expected`},
		"TCP without a service":  {`"port": 8080, "service": "users"`, `"port": 8080, "protocol": "TCP"`, "listeners[0].service", "is empty"},
		"TLS without a key":      {`"port": 8080`, `"port": 8080, "tls": {"certificateFile": "a", "keyFile": ""}`, "listeners[0].tls.keyFile", "is empty"},
		"an address":             {`"port": 8080`, `"port": 8080, "address": "here"`, "listeners[0].address", `"here" is no IP address`},
		"a route to nobody":      {`"port": 8080`, `"port": 8080, "routes": [{"service": "x"}]`, "listeners[0].routes[0].service", `"x" is no service`},
		"a path":                 {`"port": 8080`, `"port": 8080, "routes": [{"service": "users", "pathPrefix": "api"}]`, "listeners[0].routes[0].pathPrefix", "a path that starts with /"},
		"a policy":               {`"endpoints"`, `"policy": {"loadBalancer": "Fastest"}, "endpoints"`, "services[0].policy.loadBalancer", `is "Fastest"`},
		"a share":                {`"endpoints"`, `"policy": {"outlierDetection": {"errorRatio": 2}}, "endpoints"`, "services[0].policy.outlierDetection.errorRatio", "a number from 0 to 1"},
		"what is repeated":       {`"endpoints"`, `"policy": {"retry": {"retryOn": ["luck"]}}, "endpoints"`, "services[0].policy.retry.retryOn[0]", `is "luck"`},
		"a time":                 {`"endpoints"`, `"policy": {"circuitBreaker": {"recoveryTimeout": "0s"}}, "endpoints"`, "services[0].policy.circuitBreaker.recoveryTimeout", "is no time"},
		"a mirror of nobody":     {`"endpoints"`, `"mirror": {"service": "x"}, "endpoints"`, "services[0].mirror.service", `"x" is no service`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, good, test.from)
			_, err := ParseConfiguration([]byte(strings.Replace(good, test.from, test.to, 1)))
			var faults Faults
			require.ErrorAs(t, err, &faults)
			require.Equal(t, test.field, faults[0].Field)
			require.Contains(t, faults[0].Reason, test.reason)
		})
	}
	for _, text := range []string{"", "[]", good + "{}", strings.Replace(good, `"version"`, `"versions"`, 1)} {
		_, err := ParseConfiguration([]byte(text))
		require.Error(t, err, text)
	}
}

// Whatever is read can be written and read again, and is the same then.
func FuzzParseConfiguration(f *testing.F) {
	f.Add(good)
	f.Add(`{"version": 2, "labels": {"a": "b"}, "listeners": [], "services": [{"name": "a", "endpoints": [], "policy": {"retry": {}, "healthCheck": {"interval": "5s"}, "limits": {"maxConnections": 1}}, "subsets": [{"name": "c", "weight": 5}]}]}`)
	f.Add(`{"version": 1, "listeners": [{"name": "t", "port": 1, "protocol": "TCP", "service": "s"}], "services": [{"name": "s", "endpoints": [{"id": "x", "address": "[::1]:9", "draining": true}]}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseConfiguration([]byte(text))
		if err != nil {
			return
		}
		written, err := json.Marshal(c)
		require.NoError(t, err)
		again, err := ParseConfiguration(written)
		require.NoError(t, err, "%s", written)
		one, err := json.Marshal(c.WithDefaults())
		require.NoError(t, err)
		other, err := json.Marshal(again.WithDefaults())
		require.NoError(t, err)
		require.JSONEq(t, string(one), string(other))
		require.NoError(t, c.WithDefaults().Validate())
	})
}
