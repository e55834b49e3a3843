package proxy

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"windlass/schemas/traffic"
)

// reloadInterval is how often at most the files of a certificate are looked at.
const reloadInterval = time.Second

// certificate is a certificate in files that may change.
type certificate struct {
	certificateFile, keyFile string

	mu      sync.Mutex
	loaded  *tls.Certificate
	stamp   [2]time.Time
	checked time.Time
}

// loadCertificate reads the files, which must be right the first time.
func loadCertificate(certificateFile, keyFile string) (*certificate, error) {
	c := &certificate{certificateFile: certificateFile, keyFile: keyFile}
	if err := c.load(); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *certificate) load() error {
	stamp, err := c.stampOf()
	if err != nil {
		return err
	}
	loaded, err := tls.LoadX509KeyPair(c.certificateFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("certificate %s: %w", c.certificateFile, err)
	}
	c.loaded, c.stamp, c.checked = &loaded, stamp, time.Now()
	return nil
}

func (c *certificate) stampOf() (stamp [2]time.Time, err error) {
	for i, file := range []string{c.certificateFile, c.keyFile} {
		info, err := os.Stat(file)
		if err != nil {
			return stamp, fmt.Errorf("certificate: %w", err)
		}
		stamp[i] = info.ModTime()
	}
	return stamp, nil
}

// current is the certificate as the files have it. One that is being written, or is
// broken, changes nothing.
func (c *certificate) current() *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.checked) < reloadInterval {
		return c.loaded
	}
	c.checked = time.Now()
	if stamp, err := c.stampOf(); err == nil && stamp != c.stamp {
		_ = c.load()
	}
	return c.loaded
}

// authorities reads the certificates of those who sign others'.
func authorities(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("certificate authority: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("certificate authority %s: there is no certificate in it", file)
	}
	return pool, nil
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
	if c.ClientCAs, err = authorities(l.ClientCAFile); err != nil {
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
	return c, nil
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

// serviceTLS is how endpoints are known, and what is shown to them; nil is plain text.
func serviceTLS(s *traffic.ServiceTLS) (*tls.Config, error) {
	if s == nil {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: s.ServerName}
	var err error
	if s.CAFile != "" {
		if c.RootCAs, err = authorities(s.CAFile); err != nil {
			return nil, err
		}
	}
	if s.CertificateFile != "" {
		own, err := loadCertificate(s.CertificateFile, s.KeyFile)
		if err != nil {
			return nil, err
		}
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return own.current(), nil }
	}
	return c, nil
}
