package proxy

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"

	"windlass/schemas/traffic"
)

// loadCertificate reads a certificate and its key.
func loadCertificate(certificateFile, keyFile string) (*reloaded[*tls.Certificate], error) {
	return load(func() (*tls.Certificate, error) {
		loaded, err := tls.LoadX509KeyPair(certificateFile, keyFile)
		if err != nil {
			return nil, fmt.Errorf("certificate %s: %w", certificateFile, err)
		}
		return &loaded, nil
	}, certificateFile, keyFile)
}

// loadAuthorities reads the certificates of those who sign others'.
func loadAuthorities(file string) (*reloaded[*x509.CertPool], error) {
	return load(func() (*x509.CertPool, error) {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("certificate authority: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("certificate authority %s: there is no certificate in it", file)
		}
		return pool, nil
	}, file)
}

// listenerTLS is what a listener shows and demands.
func listenerTLS(l *traffic.ListenerTLS, protocols []string) (*tls.Config, error) {
	own, err := loadCertificate(l.CertificateFile, l.KeyFile)
	if err != nil {
		return nil, err
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: protocols, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return own.current(), nil }}
	if l.ClientCAFile == "" {
		return c, nil
	}
	signers, err := loadAuthorities(l.ClientCAFile)
	if err != nil {
		return nil, err
	}
	c.ClientAuth = tls.RequireAndVerifyClientCert
	if len(l.AllowedClients) > 0 {
		c.VerifyConnection = func(state tls.ConnectionState) error {
			if len(state.PeerCertificates) > 0 && named(state.PeerCertificates[0], l.AllowedClients) {
				return nil
			}
			return errors.New("this client may not connect here")
		}
	}
	asked := c.Clone()
	asked.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		now := c.Clone()
		now.ClientCAs = signers.current()
		return now, nil
	}
	return asked, nil
}

// named says whether a certificate carries one of the names.
func named(c *x509.Certificate, names []string) bool {
	for _, uri := range c.URIs {
		if slices.Contains(names, uri.String()) {
			return true
		}
	}
	return slices.ContainsFunc(c.DNSNames, func(name string) bool { return slices.Contains(names, name) })
}
