package proxy

import (
	"log/slog"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync"
)

// forwarder passes the requests of a route on.
type forwarder struct {
	service *service
	reverse *httputil.ReverseProxy
	refused func(kind)
}

func newForwarder(p *Proxy, listener string, s *service, subset string) *forwarder {
	f := &forwarder{service: s, refused: func(k kind) { p.metrics.refusals.WithLabelValues(listener, string(k)).Inc() }}
	f.reverse = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetXForwarded()
			dropDisguised(r.Out.Header)
			// Nothing here reads the query, so that one that is odd is the endpoint's affair.
			r.Out.URL.RawQuery = r.In.URL.RawQuery
			r.Out.URL.Scheme, r.Out.URL.Host = "http", s.name // replaced by each try
			if r.Out.Body != nil {
				prompt, _ := r.In.Body.(*promptBody)
				r.Out.Body = &clientBody{ReadCloser: r.Out.Body, prompt: prompt}
			}
		},
		Transport:  mirrored{&passage{service: s, subset: subset}},
		BufferPool: buffers,
		ErrorLog:   slog.NewLogLogger(p.options.Logger.Handler(), slog.LevelDebug),
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			k := kindOf(err)
			switch {
			case k.ofClient() && r.ProtoMajor == 1:
				w.Header().Set("Connection", "close") // the rest of the body is not waited for
			case !k.ofClient() && r.Context().Err() != nil:
				k = clientGone
			}
			f.refuse(w, k)
		},
	}
	return f
}

// dropDisguised removes what an endpoint that tells no underscore from a hyphen, such as
// one behind CGI or WSGI, would take for what the proxy says of the client.
func dropDisguised(header http.Header) {
	for name := range header {
		if !strings.Contains(name, "_") {
			continue
		}
		switch http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-")) {
		case "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto":
			delete(header, name)
		}
	}
}

func (f *forwarder) refuse(w http.ResponseWriter, k kind) {
	f.refused(k)
	tell(w, k)
}

func (f *forwarder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	idle := duration(f.service.policy.Timeout.BodyIdleTimeout)
	var body *promptBody
	if r.Body != http.NoBody {
		body = newPromptBody(w, r, idle)
		defer body.finish()
		r = r.WithContext(r.Context()) // the server looks at the body that it knows
	}
	if most := f.service.policy.Limits.MaxBodyBytes; most > 0 {
		if r.ContentLength > most {
			f.refuse(w, tooLarge)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, most)
	}
	if body != nil {
		body.ReadCloser = r.Body
		r.Body = body
	}
	if r.ProtoMajor > 1 && idle > 0 {
		writer := newPromptWriter(w, idle)
		defer writer.finish()
		w = writer
	}
	if upgrade := r.Header.Get("Upgrade"); upgrade != "" && !strings.EqualFold(upgrade, "websocket") {
		// Whatever is spoken after it, such as h2c, would go past routes and policy.
		r.Header.Del("Upgrade")
	}
	f.reverse.ServeHTTP(w, r)
}

// bufferBytes is the size of the buffers that answers are copied through.
const bufferBytes = 32 << 10

// buffers are shared by all forwarders.
var buffers = &bufferPool{sync.Pool{New: func() any { return new([bufferBytes]byte) }}}

type bufferPool struct{ pool sync.Pool }

func (b *bufferPool) Get() []byte { return b.pool.Get().(*[bufferBytes]byte)[:] }

func (b *bufferPool) Put(buffer []byte) { b.pool.Put((*[bufferBytes]byte)(buffer)) }
