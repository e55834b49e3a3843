package kubernetes

import (
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

// recorder keeps what a DNS server answers.
type recorder struct {
	dns.ResponseWriter
	answer *dns.Msg
}

func (r *recorder) WriteMsg(answer *dns.Msg) error {
	r.answer = answer
	return nil
}

func TestTheResolverKnowsTheAddressesOfServices(t *testing.T) {
	api := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/api/v1/namespaces/shop/services/web":
			_, _ = w.Write([]byte(`{"spec": {"clusterIP": "10.96.3.4"}}`))
		case "/api/v1/namespaces/shop/services/broken":
			http.Error(w, "no", http.StatusInternalServerError)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(api.Close)
	r := &resolver{api: newClient(api.URL, encodeCertificate(api.Certificate()), "token")}
	tests := map[string]struct {
		question string
		kind     uint16
		code     int
		address  string
	}{
		"a Service":                           {"web.shop.svc.cluster.local.", dns.TypeA, dns.RcodeSuccess, "10.96.3.4"},
		"letters of either case":              {"Web.Shop.SVC.cluster.local.", dns.TypeA, dns.RcodeSuccess, "10.96.3.4"},
		"no address of version 6":             {"web.shop.svc.cluster.local.", dns.TypeAAAA, dns.RcodeSuccess, ""},
		"no Service of that name":             {"other.shop.svc.cluster.local.", dns.TypeA, dns.RcodeNameError, ""},
		"a name outside of the cluster":       {"web.example.org.", dns.TypeA, dns.RcodeNameError, ""},
		"a name with a search domain added":   {"web.shop.svc.shop.svc.cluster.local.", dns.TypeA, dns.RcodeNameError, ""},
		"a server that cannot say what it is": {"broken.shop.svc.cluster.local.", dns.TypeA, dns.RcodeServerFailure, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var w recorder
			r.ServeDNS(&w, new(dns.Msg).SetQuestion(test.question, test.kind))
			require.Equal(t, test.code, w.answer.Rcode)
			if test.address == "" {
				require.Empty(t, w.answer.Answer)
				return
			}
			require.Len(t, w.answer.Answer, 1)
			require.True(t, net.ParseIP(test.address).Equal(w.answer.Answer[0].(*dns.A).A))
		})
	}
}
