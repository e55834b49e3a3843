package proxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"

	"windlass/schemas/traffic"
)

// upstreamTLS is how endpoints are known, and what is shown to them.
type upstreamTLS struct {
	settings *tls.Config
	// signers have signed the endpoints' certificates; nil is whom the system trusts.
	signers *reloaded[*x509.CertPool]
}

// newUpstreamTLS returns nil, which is plain text, for nil.
func newUpstreamTLS(s *traffic.ServiceTLS) (*upstreamTLS, error) {
	if s == nil {
		return nil, nil
	}
	u := &upstreamTLS{settings: &tls.Config{MinVersion: tls.VersionTLS12, ServerName: s.ServerName}}
	var err error
	if s.CAFile != "" {
		if u.signers, err = loadAuthorities(s.CAFile); err != nil {
			return nil, err
		}
	}
	if s.CertificateFile != "" {
		own, err := loadCertificate(s.CertificateFile, s.KeyFile)
		if err != nil {
			return nil, err
		}
		u.settings.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return own.current(), nil }
	}
	return u, nil
}

// secure ends a handshake with an endpoint on a connection, which it closes when that fails.
func (u *upstreamTLS) secure(ctx context.Context, plain net.Conn, address string, protocols ...string) (net.Conn, error) {
	settings := u.settings.Clone()
	settings.NextProtos = protocols
	if settings.ServerName == "" {
		settings.ServerName, _, _ = net.SplitHostPort(address) // it has been checked
	}
	if u.signers != nil {
		settings.RootCAs = u.signers.current()
	}
	secured := tls.Client(plain, settings)
	if err := secured.HandshakeContext(ctx); err != nil {
		_ = plain.Close()
		return nil, err
	}
	return secured, nil
}
