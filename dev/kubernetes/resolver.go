package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/miekg/dns"
)

// resolver answers for the cluster's DNS: <service>.<namespace>.svc.cluster.local is the ClusterIP of a Service.
type resolver struct {
	api     *client
	servers []*dns.Server
}

const servicesDomain = ".svc.cluster.local."

func startResolver(api *client, address string) (*resolver, error) {
	r := &resolver{api: api}
	packets, err := net.ListenPacket("udp", net.JoinHostPort(address, "53"))
	if err != nil {
		return nil, fmt.Errorf("DNS server: %w", err)
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(address, "53"))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("DNS server: %w", err), packets.Close())
	}
	r.servers = []*dns.Server{{PacketConn: packets, Handler: r}, {Listener: listener, Handler: r}}
	for _, server := range r.servers {
		go func() { _ = server.ActivateAndServe() }()
	}
	return r, nil
}

// close ends the servers. Nil is none.
func (r *resolver) close() {
	if r == nil {
		return
	}
	for _, server := range r.servers {
		_ = server.Shutdown()
	}
}

// ServeDNS implements dns.Handler.
func (r *resolver) ServeDNS(w dns.ResponseWriter, question *dns.Msg) {
	answer := new(dns.Msg).SetReply(question)
	answer.Authoritative = true
	if len(question.Question) == 1 {
		asked := question.Question[0]
		address, code := r.address(asked.Name)
		answer.Rcode = code
		// A name that has no address of the kind asked for exists all the same.
		if code == dns.RcodeSuccess && asked.Qtype == dns.TypeA {
			answer.Answer = []dns.RR{&dns.A{
				Hdr: dns.RR_Header{Name: asked.Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 1}, A: address,
			}}
		}
	}
	_ = w.WriteMsg(answer)
}

func (r *resolver) address(name string) (address net.IP, code int) {
	service, found := strings.CutSuffix(dns.CanonicalName(name), servicesDomain)
	parts := strings.Split(service, ".")
	if !found || len(parts) != 2 {
		return nil, dns.RcodeNameError
	}
	var object struct {
		Spec struct {
			ClusterIP string `json:"clusterIP"`
		} `json:"spec"`
	}
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	err := r.api.get(ctx, fmt.Sprintf("/api/v1/namespaces/%s/services/%s", parts[1], parts[0]), &object)
	if refused := new(StatusError); errors.As(err, &refused) && refused.Code == http.StatusNotFound {
		return nil, dns.RcodeNameError
	}
	if address = net.ParseIP(object.Spec.ClusterIP); err != nil || address == nil {
		return nil, dns.RcodeServerFailure
	}
	return address, dns.RcodeSuccess
}
