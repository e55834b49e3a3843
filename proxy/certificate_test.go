package proxy

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"windlass/schemas/traffic"
)

// authority signs certificates of a test.
type authority struct {
	t           *testing.T
	folder      string
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	serial      int64
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	a := &authority{t: t, folder: t.TempDir(), key: key}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, NotAfter: time.Now().Add(time.Hour)}
	text, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	a.certificate, err = x509.ParseCertificate(text)
	require.NoError(t, err)
	a.write("ca.crt", "CERTIFICATE", text)
	return a
}

func (a *authority) write(name, kind string, text []byte) {
	a.t.Helper()
	require.NoError(a.t, os.WriteFile(filepath.Join(a.folder, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: text}), 0o600))
}

func (a *authority) path(name string) string { return filepath.Join(a.folder, name) }

// issue writes a certificate with that DNS name, and its key, into files of a name.
func (a *authority) issue(file, name string) {
	a.t.Helper()
	a.serial++
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(a.t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(a.serial + 1), DNSNames: []string{name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotAfter: time.Now().Add(time.Hour)}
	text, err := x509.CreateCertificate(rand.Reader, template, a.certificate, &key.PublicKey, a.key)
	require.NoError(a.t, err)
	private, err := x509.MarshalECPrivateKey(key)
	require.NoError(a.t, err)
	a.write(file+".crt", "CERTIFICATE", text)
	a.write(file+".key", "EC PRIVATE KEY", private)
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	return pool
}

// client trusts the authority, and shows a certificate where a file is given.
func (a *authority) client(file string) *http.Client {
	a.t.Helper()
	c := &tls.Config{RootCAs: a.pool()}
	if file != "" {
		own, err := tls.LoadX509KeyPair(a.path(file+".crt"), a.path(file+".key"))
		require.NoError(a.t, err)
		c.Certificates = []tls.Certificate{own}
	}
	transport := &http.Transport{TLSClientConfig: c, ForceAttemptHTTP2: true}
	a.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

func TestTLSIsEndedAndItsCertificateExchangedUnderOpenConnections(t *testing.T) {
	a := newAuthority(t)
	a.issue("edge", "first.example.org")
	s := newScene(t, Options{})
	c := s.served(traffic.Policy{}, backend(t, "a", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Header.Get("X-Forwarded-Proto")) }))
	c.Listeners[0].TLS = &traffic.ListenerTLS{CertificateFile: a.path("edge.crt"), KeyFile: a.path("edge.key")}
	s.apply(c)
	kept := a.client("")
	names := func(client *http.Client) string {
		response, err := client.Get("https://" + s.address)
		require.NoError(t, err)
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.Equal(t, "https", string(text))
		require.Equal(t, "HTTP/2.0", response.Proto)
		return response.TLS.PeerCertificates[0].DNSNames[0]
	}
	require.Equal(t, "first.example.org", names(kept))
	a.issue("edge", "second.example.org")
	s.eventually(func() bool { return names(a.client("")) == "second.example.org" }, "new connections see the new one")
	require.Equal(t, "first.example.org", names(kept), "the open connection stays")
	require.NoError(t, os.WriteFile(a.path("edge.crt"), []byte("half"), 0o600))
	require.Equal(t, "second.example.org", names(a.client("")), "one that is being written changes nothing")

	broken := c
	broken.Version = s.version + 1
	require.ErrorContains(t, s.proxy.Apply(t.Context(), broken), "listeners[0].tls")
}

func TestOnlyThoseWhoMayCallAreLetIn(t *testing.T) {
	a, stranger := newAuthority(t), newAuthority(t)
	a.issue("edge", "edge.example.org")
	a.issue("shop", "shop.example.org")
	a.issue("other", "other.example.org")
	stranger.issue("shop", "shop.example.org")
	s := newScene(t, Options{})
	c := s.served(traffic.Policy{}, backend(t, "a", nil))
	c.Listeners[0].TLS = &traffic.ListenerTLS{CertificateFile: a.path("edge.crt"), KeyFile: a.path("edge.key"), ClientCAFile: a.path("ca.crt"), AllowedClients: []string{"shop.example.org"}}
	s.apply(c)
	foreign := a.client("")
	own, err := tls.LoadX509KeyPair(stranger.path("shop.crt"), stranger.path("shop.key"))
	require.NoError(t, err)
	foreign.Transport.(*http.Transport).TLSClientConfig.Certificates = []tls.Certificate{own}
	for name, client := range map[string]*http.Client{"without a certificate": a.client(""), "another name": a.client("other"), "another authority": foreign} {
		_, err := client.Get("https://" + s.address)
		require.Error(t, err, name)
	}
	response, err := a.client("shop").Get("https://" + s.address)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, response.StatusCode)
	require.NoError(t, response.Body.Close())
}

func TestProxiesKnowEachOtherByCertificate(t *testing.T) {
	a := newAuthority(t)
	a.issue("inner", "users.internal")
	a.issue("outer", "edge.internal")
	own, err := tls.LoadX509KeyPair(a.path("inner.crt"), a.path("inner.key"))
	require.NoError(t, err)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.TLS.PeerCertificates[0].DNSNames[0])
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{own}, ClientCAs: a.pool(), ClientAuth: tls.RequireAndVerifyClientCert}
	server.StartTLS()
	t.Cleanup(server.Close)
	s := newScene(t, Options{})
	c := s.served(traffic.Policy{}, strings.TrimPrefix(server.URL, "https://"))
	c.Services[0].TLS = &traffic.ServiceTLS{CAFile: a.path("ca.crt"), CertificateFile: a.path("outer.crt"), KeyFile: a.path("outer.key"), ServerName: "users.internal"}
	s.apply(c)
	require.Equal(t, "edge.internal", s.get("/").text)
	c.Services[0].TLS = &traffic.ServiceTLS{CAFile: a.path("ca.crt"), CertificateFile: a.path("outer.crt"), KeyFile: a.path("outer.key"), ServerName: "somebody.else"}
	s.apply(c)
	require.Equal(t, http.StatusBadGateway, s.get("/").status, "an endpoint with another name is not trusted")
	c.Services[0].TLS = &traffic.ServiceTLS{CAFile: a.path("missing.crt")}
	c.Version = s.version + 1
	require.ErrorContains(t, s.proxy.Apply(t.Context(), c), "services[0].tls")
}

// Whoever signs certificates is exchanged as certificates are: for new connections, while
// those that are open stay.
func TestWhoSignsIsExchangedUnderOpenConnections(t *testing.T) {
	first, second := newAuthority(t), newAuthority(t)
	exchange := func(a *authority, file string) {
		text, err := os.ReadFile(a.path("ca.crt"))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(file, text, 0o600))
	}
	first.issue("edge", "edge.example.org")
	first.issue("shop", "shop.example.org")
	second.issue("shop", "shop.example.org")
	signers := first.path("signers.crt")
	exchange(first, signers)
	t.Run("of clients", func(t *testing.T) {
		s := newScene(t, Options{})
		c := s.served(traffic.Policy{}, backend(t, "a", nil))
		c.Listeners[0].TLS = &traffic.ListenerTLS{CertificateFile: first.path("edge.crt"), KeyFile: first.path("edge.key"), ClientCAFile: signers}
		s.apply(c)
		by := func(a *authority) *http.Client {
			client := first.client("")
			own, err := tls.LoadX509KeyPair(a.path("shop.crt"), a.path("shop.key"))
			require.NoError(t, err)
			client.Transport.(*http.Transport).TLSClientConfig.Certificates = []tls.Certificate{own}
			return client
		}
		served := func(client *http.Client) bool {
			response, err := client.Get("https://" + s.address)
			if err != nil {
				return false
			}
			defer response.Body.Close()
			_, _ = io.Copy(io.Discard, response.Body)
			return response.StatusCode == http.StatusOK
		}
		kept := by(first)
		require.True(t, served(kept))
		require.False(t, served(by(second)))
		exchange(second, signers)
		s.eventually(func() bool { return served(by(second)) }, "the new one counts")
		require.False(t, served(by(first)), "and the old one does not")
		require.True(t, served(kept), "the open connection stays")
	})
	for _, http2 := range []bool{false, true} {
		t.Run(fmt.Sprintf("of endpoints, HTTP/2 %v", http2), func(t *testing.T) {
			exchange(first, signers)
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Proto) }))
			own, err := tls.LoadX509KeyPair(second.path("shop.crt"), second.path("shop.key"))
			require.NoError(t, err)
			server.EnableHTTP2 = true
			server.TLS = &tls.Config{Certificates: []tls.Certificate{own}}
			server.StartTLS()
			t.Cleanup(server.Close)
			s := newScene(t, Options{})
			c := s.served(traffic.Policy{HealthCheck: &traffic.HealthCheck{Interval: period(20 * time.Millisecond)}}, strings.TrimPrefix(server.URL, "https://"))
			c.Services[0].TLS, c.Services[0].HTTP2 = &traffic.ServiceTLS{CAFile: signers}, http2
			s.apply(c)
			require.Equal(t, http.StatusBadGateway, s.get("/").status)
			s.eventually(func() bool { return s.endpoint("e0").State == StateUnhealthy }, "its check fails too")
			exchange(second, signers)
			s.eventually(func() bool { return s.get("/").status == http.StatusOK }, "the new one counts")
			s.eventually(func() bool { return s.endpoint("e0").State == StateReady }, "for the check too")
			require.Equal(t, map[bool]string{false: "HTTP/1.1", true: "HTTP/2.0"}[http2], s.get("/").text)
		})
	}
}
