package proxy

import (
	"net"
	"net/http"
	"strings"

	"windlass/schemas/traffic"
)

// route is where requests that match go.
type route struct {
	traffic.Route
	handler http.Handler
}

// table is what a listener does with requests. It does not change.
type table struct {
	routes []route
	// otherwise takes what no route does; nil is nobody.
	otherwise http.Handler
}

func (t *table) find(r *http.Request) http.Handler {
	for i := range t.routes {
		if matches(&t.routes[i].Route, r) {
			return t.routes[i].handler
		}
	}
	return t.otherwise
}

func matches(m *traffic.Route, r *http.Request) bool {
	if m.Host != "" && !strings.EqualFold(m.Host, hostOf(r.Host)) {
		return false
	}
	if m.PathPrefix != "" && !within(r.URL.Path, m.PathPrefix) {
		return false
	}
	if m.Header != nil && r.Header.Get(m.Header.Name) != m.Header.Value {
		return false
	}
	if m.Cookie != nil {
		cookie, err := r.Cookie(m.Cookie.Name)
		return err == nil && cookie.Value == m.Cookie.Value
	}
	return true
}

// within says whether whole segments of the path are the prefix.
func within(path, prefix string) bool {
	rest, ok := strings.CutPrefix(path, strings.TrimSuffix(prefix, "/"))
	return ok && (rest == "" || rest[0] == '/')
}

// hostOf is a host without its port.
func hostOf(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return host
}
