package traffic

import "windlass/schemas/quantity"

// Configuration is everything that a proxy does, in one document. It is applied
// whole or not at all.
type Configuration struct {
	// Version rises with each change. A proxy refuses one that is older than what
	// it runs, and takes one that is equal only when it is the same document.
	Version uint64 `json:"version"`
	// Labels are for whoever writes the document. They are kept and not looked at.
	Labels map[string]string `json:"labels,omitempty"`
	// Listeners are the ports that are listened on; their names are unique.
	Listeners []Listener `json:"listeners"`
	// Services are what listeners pass requests to; their names are unique.
	Services []Service `json:"services"`
}

// Protocol is what a listener understands.
type Protocol string

// The protocols of listeners.
const (
	// HTTP is HTTP/1.1 and HTTP/2, the latter without TLS as h2c with prior knowledge.
	HTTP Protocol = "HTTP"
	// TCP passes bytes on and understands nothing.
	TCP Protocol = "TCP"
)

// Listener is one port. Changing anything but its port, address or protocol keeps
// the connections that are open.
type Listener struct {
	Name string `json:"name"`
	// Address is the IP address to listen on; the default is every one.
	Address string `json:"address,omitempty"`
	// Port is from 1 to 65535.
	Port int `json:"port"`
	// Protocol is HTTP (default) or TCP.
	Protocol Protocol `json:"protocol,omitempty"`
	// TLS ends TLS here; the default is plain text.
	TLS *ListenerTLS `json:"tls,omitempty"`
	// Routes are tried in order, of HTTP alone.
	Routes []Route `json:"routes,omitempty"`
	// Service takes what no route does; without it such a request is answered 404.
	Service string `json:"service,omitempty"`
	// MaxConnections bounds the connections of clients; the default is without a bound.
	MaxConnections int `json:"maxConnections,omitempty"`
	// MaxHeaderBytes bounds the headers of a request; the default is 64 KiB.
	MaxHeaderBytes int `json:"maxHeaderBytes,omitempty"`
	// ReadHeaderTimeout is how long a client has to send its headers; the default is 10s.
	ReadHeaderTimeout *quantity.Duration `json:"readHeaderTimeout,omitempty"`
}

// ListenerTLS names the files of a listener's certificate. They are read again
// when they change; connections that are open stay.
type ListenerTLS struct {
	CertificateFile string `json:"certificateFile"`
	KeyFile         string `json:"keyFile"`
	// ClientCAFile makes clients show a certificate that it has signed.
	ClientCAFile string `json:"clientCAFile,omitempty"`
	// AllowedClients are the DNS or URI names of which a client's certificate must
	// carry one; the default is any that ClientCAFile has signed.
	AllowedClients []string `json:"allowedClients,omitempty"`
}

// Route passes what it matches to a service. Everything that is set must match;
// a route with nothing set matches all.
type Route struct {
	// Host is the host name that is asked for, without a port.
	Host string `json:"host,omitempty"`
	// PathPrefix matches whole segments of the path.
	PathPrefix string `json:"pathPrefix,omitempty"`
	// Header and Cookie match a value exactly.
	Header *Match `json:"header,omitempty"`
	Cookie *Match `json:"cookie,omitempty"`
	// Service is the name of the service.
	Service string `json:"service"`
	// Subset, when set, has only endpoints of that subset serve.
	Subset string `json:"subset,omitempty"`
}

// Match is one named value.
type Match struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Service is a set of endpoints with one policy.
type Service struct {
	Name string `json:"name"`
	// Endpoints may be none; a request is then answered 503.
	Endpoints []Endpoint `json:"endpoints"`
	// Subsets share the requests by weight; the default is that all endpoints are
	// equal. A subset without an endpoint that can serve gives its share to the others.
	Subsets []Subset `json:"subsets,omitempty"`
	// Policy is how endpoints are chosen and watched.
	Policy Policy `json:"policy,omitzero"`
	// TLS opens connections to endpoints with TLS; the default is plain text.
	TLS *ServiceTLS `json:"tls,omitempty"`
	// HTTP2 speaks HTTP/2 with the endpoints, without TLS as h2c; the default is HTTP/1.1.
	HTTP2 bool `json:"http2,omitempty"`
	// Mirror sends copies of requests elsewhere; what comes back is thrown away.
	Mirror *Mirror `json:"mirror,omitempty"`
}

// Endpoint is one place that serves.
type Endpoint struct {
	// ID is unique in the service, and the endpoint's name in metrics. An endpoint
	// keeps what is known of it while its ID and its address stay.
	ID string `json:"id"`
	// Address is host:port. A host name is looked up for each new connection.
	Address string `json:"address"`
	// Weight is from 1 to 1,000; the default is 1. Only Weighted looks at it.
	Weight int `json:"weight,omitempty"`
	// Subset is the name of one of the service's subsets, or empty.
	Subset string `json:"subset,omitempty"`
	// Draining takes no new request and finishes those that it has.
	Draining bool `json:"draining,omitempty"`
}

// Subset is a part of a service's endpoints, such as those of a canary.
type Subset struct {
	Name string `json:"name"`
	// Weight is from 0 to 1,000; with 0 only routes that name the subset reach it.
	Weight int `json:"weight"`
}

// ServiceTLS is how a proxy shows itself to endpoints and knows them. The files are read
// again when they change.
type ServiceTLS struct {
	// CAFile has signed the endpoints' certificates; the default is the system's.
	CAFile string `json:"caFile,omitempty"`
	// CertificateFile and KeyFile are shown to endpoints that ask for one.
	CertificateFile string `json:"certificateFile,omitempty"`
	KeyFile         string `json:"keyFile,omitempty"`
	// ServerName is the name that the endpoints' certificates carry; the default is
	// the host of the endpoint's address.
	ServerName string `json:"serverName,omitempty"`
}

// Mirror copies requests whose body is at most 64 KiB.
type Mirror struct {
	// Service is the name of the service that gets the copies.
	Service string `json:"service"`
	// Share, from 0 to 1, is the share of the requests that are copied; the default is 1.
	Share *float64 `json:"share,omitempty"`
}
