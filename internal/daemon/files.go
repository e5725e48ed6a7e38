package daemon

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/stekring/stekring/config"
	"github.com/stekring/stekring/internal/etcd"
	"github.com/stekring/stekring/keyring/seal"
)

// KEK returns the KEK that a configuration names, or nil if it names none.
func KEK(s config.Seal) (*seal.KEK, error) {
	if s.InsecurePlaintext {
		return seal.Plaintext(), nil
	}
	if s.KEKFile == "" {
		return nil, nil
	}
	k, err := seal.LoadKEK(s.KEKFile)
	if err != nil {
		return nil, fmt.Errorf("seal.kek_file: %w", err)
	}
	return k, nil
}

// Client dials the etcd of a configuration, whose files it reads. It touches no
// network.
func Client(c config.Etcd, log *zap.Logger) (*clientv3.Client, error) {
	o := etcd.Options{Endpoints: c.Endpoints, Username: c.Username, Log: log}
	if c.PasswordFile != "" {
		b, err := os.ReadFile(c.PasswordFile)
		if err != nil {
			return nil, fmt.Errorf("daemon: etcd.password_file: %w", err)
		}
		o.Password = strings.TrimSpace(string(b))
	}
	var err error
	if o.TLS, err = TLS(c, log); err != nil {
		return nil, err
	}
	return etcd.Dial(o)
}

// TLS returns how to speak to the etcd of a configuration; nil is in clear.
func TLS(c config.Etcd, log *zap.Logger) (*tls.Config, error) {
	if len(c.Endpoints) == 0 || !strings.HasPrefix(c.Endpoints[0], "https://") {
		return nil, nil
	}
	t := &tls.Config{}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("daemon: etcd.ca_file: %w", err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("daemon: etcd.ca_file %s: no certificate in it", c.CAFile)
		}
	}
	if c.CertFile != "" {
		pair, err := loadKeypair(c.CertFile, c.KeyFile, log)
		if err != nil {
			return nil, fmt.Errorf("daemon: etcd.cert_file: %w", err)
		}
		t.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return pair.get(), nil }
	}
	return t, nil
}
